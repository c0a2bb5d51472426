import { Option } from 'commander'

/** Flags that every command takes, before or after its name. */
export interface GlobalFlags {
  readonly yaml?: string
  readonly filter?: string
  readonly regex?: string
  readonly gateway?: string
  readonly namespace?: string
  readonly token?: string
  /** Default true; `--envsubst=false` takes the stack file as it is. */
  readonly envsubst?: boolean
  readonly tlsNoVerify?: boolean
  readonly json?: boolean
  readonly verbose?: boolean
}

/** Fresh options each time: commander ties an option to its command. */
export function globalOptions(): Option[] {
  return [
    new Option('-f, --yaml <file>', 'stack file (default: stack.yaml, then stack.yml)'),
    new Option('--filter <glob>', 'only functions whose name matches, e.g. "*search"'),
    new Option('--regex <regex>', 'only functions whose name matches the regular expression'),
    new Option(
      '-g, --gateway <url>',
      'address of the gateway; user:password@ is accepted (default: the stack file\'s, else "http://127.0.0.1:8080") (env: OPENFAAS_URL)',
    ),
    new Option('-n, --namespace <name>', "namespace of the functions (default: the gateway's)"),
    new Option('-k, --token <token>', 'bearer token for the gateway'),
    new Option('--envsubst', 'replace ${VARIABLES} in the stack file (default: true)'),
    new Option('--no-envsubst').hideHelp(),
    new Option('--tls-no-verify', 'accept any certificate of the gateway'),
    new Option('-j, --json', 'the answer as JSON on standard output, everything else on standard error'),
    new Option('-v, --verbose', 'say more'),
  ].map((option) => option.helpGroup('Global options:'))
}
