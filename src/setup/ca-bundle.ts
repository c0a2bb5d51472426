import { readFile } from 'node:fs/promises'

/** Variables by which a machine says that it has certificate authorities of its own. */
const VARIABLES = ['SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS', 'REQUESTS_CA_BUNDLE', 'PIP_CERT', 'CURL_CA_BUNDLE']
const SYSTEM_BUNDLE = '/etc/ssl/certs/ca-certificates.crt'

/**
 * The machine's certificate authorities as one PEM text, when its environment says that it has its own; containers
 * then need them too, or every package install in a build fails. Undefined on an ordinary machine.
 */
export async function caBundle(
  env: NodeJS.ProcessEnv,
  systemBundle = SYSTEM_BUNDLE,
): Promise<string | undefined> {
  const named = VARIABLES.flatMap((name) => env[name] || [])
  if (named.length === 0) return undefined
  const texts: string[] = []
  for (const path of new Set([systemBundle, ...named])) {
    const text = await readFile(path, 'utf8').catch(() => '')
    if (text !== '' && !texts.some((known) => known.includes(text.trim()))) texts.push(text)
  }
  return texts.length === 0 ? undefined : texts.join('\n')
}
