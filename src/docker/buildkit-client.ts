import { execFile } from 'node:child_process'
import { access, constants, realpath } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import type { Engine } from './client.ts'
import { engineFailure } from './errors.ts'

const run = promisify(execFile)

/** BuildKit speaks a session protocol that engines have from this API version on (Docker 18.09). */
const MIN_API = [1, 39] as const
/** From this version on the Docker client leaves building to the buildx plugin. */
const BUILDX_SINCE = 23
/** A client that does not say its version within this is not one to build with. */
const ANSWER_MS = 5000

type Env = Readonly<Record<string, string | undefined>>

/** A Docker client that can build with BuildKit. */
export interface BuildkitClient {
  readonly file: string
  readonly version: string
  /** False for clients that have BuildKit built in (18.09 to 20.10). */
  readonly hasBuildx: boolean
}

/**
 * The first `docker` on PATH that can build with BuildKit. There may be several of different abilities: one with the
 * buildx plugin, one old enough to have it built in, one with neither. Never asks the engine.
 */
export async function findBuildkitClient(env: Env): Promise<BuildkitClient | undefined> {
  for (const file of await dockersOnPath(env)) {
    const client = await tryClient(file, env)
    if (client) return client
  }
  return undefined
}

/** True when the engine is Docker itself and new enough. Podman answers the same API but has no session. */
export async function engineHasBuildkit(engine: Engine): Promise<boolean> {
  try {
    const { ApiVersion, Os, Components } = await engine.version()
    const [major = 0, minor = 0] = ApiVersion.split('.').map(Number)
    const isNewEnough = major > MIN_API[0] || (major === MIN_API[0] && minor >= MIN_API[1])
    const components = (Components as readonly { Name: string }[] | undefined) ?? []
    return isNewEnough && Os === 'linux' && !components.some(({ Name }) => /podman/i.test(Name))
  } catch (error) {
    throw engineFailure(error, 'say its version')
  }
}

async function tryClient(file: string, env: Env): Promise<BuildkitClient | undefined> {
  try {
    const version = /^Docker version (\d+\.\d+[^,\s]*)/.exec(await output(file, ['--version'], env))?.[1]
    if (version === undefined) return undefined
    const [major = 0, minor = 0] = version.split('.').map(Number)
    if (major < 18 || (major === 18 && minor < 9)) return undefined
    if (major < BUILDX_SINCE) return { file, version, hasBuildx: false }
    await output(file, ['buildx', 'version'], env)
    return { file, version, hasBuildx: true }
  } catch {
    return undefined
  }
}

async function output(file: string, args: string[], env: Env): Promise<string> {
  const { stdout } = await run(file, args, { env: { ...env }, timeout: ANSWER_MS })
  return stdout
}

async function dockersOnPath(env: Env): Promise<readonly string[]> {
  const name = process.platform === 'win32' ? 'docker.exe' : 'docker'
  const folders = (env['PATH'] ?? env['Path'] ?? '').split(delimiter).filter(Boolean)
  const seen = new Set<string>()
  const found: string[] = []
  for (const folder of folders) {
    const file = join(folder, name)
    const real = await executable(file)
    if (real === undefined || seen.has(real)) continue
    seen.add(real)
    found.push(file)
  }
  return found
}

async function executable(file: string): Promise<string | undefined> {
  try {
    await access(file, constants.X_OK)
    return await realpath(file)
  } catch {
    return undefined
  }
}
