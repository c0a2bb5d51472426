import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEngineAddress } from './engine-address.ts'
import type { EngineAddress, TlsMaterial } from './engine-address.ts'

/** Folder of the Docker command line's own settings: `$DOCKER_CONFIG`, or `~/.docker`. */
export function dockerConfigFolder(env: NodeJS.ProcessEnv, home: string): string {
  return env['DOCKER_CONFIG'] || join(home, '.docker')
}

/** Name of the context that `docker context use` chose; undefined for none, for `default`, and for a broken file. */
export async function currentContext(configFolder: string): Promise<string | undefined> {
  const text = await readFile(join(configFolder, 'config.json'), 'utf8').catch(() => '{}')
  try {
    const { currentContext: name } = JSON.parse(text) as { currentContext?: unknown }
    return typeof name === 'string' && name !== '' && name !== 'default' ? name : undefined
  } catch {
    return undefined
  }
}

interface ContextFile {
  readonly Endpoints?: { readonly docker?: { readonly Host?: string } }
}

/**
 * The engine of a Docker context, as the Docker command line stores it: a folder per context, named by the SHA-256 of
 * its name. Undefined when there is no such context. BAD_CONFIG when its host cannot be read.
 */
export async function contextAddress(
  configFolder: string,
  name: string,
  env: NodeJS.ProcessEnv,
): Promise<EngineAddress | undefined> {
  const id = createHash('sha256').update(name).digest('hex')
  const folder = join(configFolder, 'contexts')
  const text = await readFile(join(folder, 'meta', id, 'meta.json'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const host = readHost(text)
  if (host === undefined) return undefined
  const tls = await readTls(join(folder, 'tls', id, 'docker'))
  const sshAgent = env['SSH_AUTH_SOCK']
  return parseEngineAddress(host, `Docker context "${name}"`, {
    ...(tls && { tls }),
    ...(sshAgent !== undefined && { sshAgent }),
  })
}

/** `ca.pem`, `cert.pem` and `key.pem` of a folder; undefined when it has none of them. */
export async function readTls(folder: string): Promise<TlsMaterial | undefined> {
  const read = (file: string): Promise<string | undefined> =>
    readFile(join(folder, file), 'utf8').catch(() => undefined)
  const [ca, cert, key] = await Promise.all([read('ca.pem'), read('cert.pem'), read('key.pem')])
  if (ca === undefined && cert === undefined && key === undefined) return undefined
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  }
}

function readHost(text: string): string | undefined {
  try {
    return (JSON.parse(text) as ContextFile).Endpoints?.docker?.Host
  } catch {
    return undefined
  }
}
