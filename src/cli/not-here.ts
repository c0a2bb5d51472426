/** Commands of faas-cli that have no place here, and what there is instead. */
const INSTEAD: Readonly<Record<string, string>> = {
  'registry-login':
    'Images are pulled and pushed with the logins of your Docker configuration: run "docker login REGISTRY".',
  auth: 'A token of an identity provider goes into --token; a user and password are kept by "faasdock login".',
  plugin: 'There are no plugins: every command is built in.',
  pro: 'Nothing here needs a licence.',
  chart: 'There is no cluster to install into; "faasdock generate" writes functions for one.',
  seal: 'Sealed secrets are for the remote builder of OpenFaaS: keep build secrets in files, and name them in build_secrets.',
  unseal: 'Sealed secrets are for the remote builder of OpenFaaS; use faas-cli for them.',
  keygen: 'Sealed secrets are for the remote builder of OpenFaaS; use faas-cli for them.',
}

/** What to do instead of a command of faas-cli that is not here; undefined for any other word. */
export function insteadOf(command: string): string | undefined {
  return Object.hasOwn(INSTEAD, command) ? INSTEAD[command] : undefined
}
