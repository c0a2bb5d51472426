import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parseEngineAddress, socketAddress } from './engine-address.ts'
import type { EngineAddress } from './engine-address.ts'
import { contextAddress, currentContext, dockerConfigFolder, readTls } from './engine-context.ts'

/** One place where an engine may be. */
export interface EngineCandidate {
  /** Who names the place: `--engine`, `DOCKER_HOST`, `rootless`, `Colima` … */
  readonly source: string
  /** The address, or what was looked for when it leads to none. */
  readonly address: EngineAddress | { readonly lookedFor: string; readonly why: string }
  /** Dialled only when everything before has failed: systemd starts Podman when somebody connects. */
  readonly wakes?: true
}

export interface Surroundings {
  /** `--engine` or FAASDOCK_ENGINE. */
  readonly host?: string
  readonly env: NodeJS.ProcessEnv
  readonly home: string
  readonly platform: NodeJS.Platform
  readonly uid: number | undefined
}

/** What a user asked for by flag or variable: then nothing else counts. BAD_CONFIG when it cannot be read. */
export async function askedFor(around: Surroundings): Promise<EngineCandidate | undefined> {
  const { env } = around
  const sshAgent = env['SSH_AUTH_SOCK']
  const parse = async (text: string, source: string): Promise<EngineCandidate> => {
    const tls = await tlsOfEnvironment(env, around.home)
    return {
      source,
      address: parseEngineAddress(text, source, {
        ...(tls && { tls }),
        ...(sshAgent !== undefined && { sshAgent }),
      }),
    }
  }
  if (around.host) return parse(around.host, '--engine')
  if (env['DOCKER_HOST']) return parse(env['DOCKER_HOST'], 'DOCKER_HOST')
  const context = env['DOCKER_CONTEXT']
  if (!context || context === 'default') return undefined
  return contextCandidate('DOCKER_CONTEXT', context, around)
}

/** The places to look, first come first served, when nobody asked for one. The order is documented: keep README and tests with it. */
export async function usualPlaces(around: Surroundings): Promise<EngineCandidate[]> {
  const { env, home } = around
  const found: EngineCandidate[] = []
  const chosen =
    env['DOCKER_CONTEXT'] === 'default' ? undefined : await currentContext(dockerConfigFolder(env, home))
  if (chosen !== undefined) found.push(await contextCandidate('Docker context', chosen, around))
  if (around.platform === 'win32') {
    return [
      ...found,
      socket('Docker', '//./pipe/docker_engine'),
      socket('Docker Desktop', '//./pipe/dockerDesktopLinuxEngine'),
      socket('Podman', '//./pipe/podman-machine-default'),
    ]
  }
  const runtime = env['XDG_RUNTIME_DIR']
  found.push(socket('Docker', '/var/run/docker.sock'))
  if (runtime) found.push(socket('rootless Docker', join(runtime, 'docker.sock')))
  if (around.uid !== undefined && around.platform === 'linux') {
    found.push(socket('rootless Docker', `/run/user/${around.uid}/docker.sock`))
  }
  found.push(
    socket('rootless Docker', join(home, '.docker/run/docker.sock')),
    socket('Docker Desktop', join(home, '.docker/desktop/docker.sock')),
    ...(await sockets('Colima', env['COLIMA_HOME'] || join(home, '.colima'), 'docker.sock')),
    socket('Rancher Desktop', join(home, '.rd/docker.sock')),
    socket('OrbStack', join(home, '.orbstack/run/docker.sock')),
  )
  const podman = [
    ...(runtime ? [socket('Podman', join(runtime, 'podman/podman.sock'))] : []),
    socket('Podman', '/run/podman/podman.sock'),
    ...(await sockets('Podman machine', join(home, '.local/share/containers/podman/machine'), 'podman.sock')),
    ...(env['TMPDIR']
      ? [socket('Podman machine', join(env['TMPDIR'], 'podman/podman-machine-default-api.sock'))]
      : []),
  ]
  return unique([...found, ...podman.map((candidate) => ({ ...candidate, wakes: true as const }))])
}

async function contextCandidate(
  source: string,
  name: string,
  around: Surroundings,
): Promise<EngineCandidate> {
  const folder = dockerConfigFolder(around.env, around.home)
  const address = await contextAddress(folder, name, around.env)
  return {
    source: `${source} "${name}"`,
    address: address ?? {
      lookedFor: `${folder}/contexts`,
      why: `there is no context ${JSON.stringify(name)}`,
    },
  }
}

/** DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, as the Docker command line reads them. */
async function tlsOfEnvironment(env: NodeJS.ProcessEnv, home: string): ReturnType<typeof readTls> {
  if (!env['DOCKER_TLS_VERIFY'] && !env['DOCKER_TLS']) return undefined
  return (await readTls(env['DOCKER_CERT_PATH'] || dockerConfigFolder(env, home))) ?? {}
}

function socket(source: string, path: string): EngineCandidate {
  return { source, address: socketAddress(path) }
}

/** `FOLDER/NAME/FILE` for every NAME, `default` first: one machine or profile per folder. */
async function sockets(source: string, folder: string, file: string): Promise<EngineCandidate[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const names = entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('_'))
    .map(({ name }) => name)
  if (names.length === 0) {
    return [{ source, address: { lookedFor: join(folder, '*', file), why: 'nothing there' } }]
  }
  const order = (name: string): string => (name === 'default' ? '' : name)
  return names
    .sort((a, b) => order(a).localeCompare(order(b)))
    .map((name) => socket(source, join(folder, name, file)))
}

/** A place that two names lead to is asked once, under the first name. */
function unique(candidates: readonly EngineCandidate[]): EngineCandidate[] {
  const seen = new Set<string>()
  return candidates.filter(({ address }) => {
    const key = JSON.stringify(address)
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}
