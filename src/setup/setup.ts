import { FaasError } from '../core/errors.ts'
import type { EngineAddress } from '../docker/engine-address.ts'
import { isLocalSocket } from '../docker/engine-address.ts'
import { hostFacts } from '../docker/engine-host.ts'
import type { HostFacts } from '../docker/engine-host.ts'
import { callEngine, readText } from '../docker/engine-http.ts'
import { engineNotFound } from '../docker/engine-missing.ts'
import type { EngineAttempt } from '../docker/engine-missing.ts'
import { findEngine } from '../docker/find-engine.ts'
import type { Announce } from './announce.ts'
import { ensureBaseImages } from './base-images.ts'
import type { BaseImage } from './base-images.ts'
import { writeEngineNote } from './engine-note.ts'
import type { EngineNote } from './engine-note.ts'
import { ensureNats, natsProgram } from './nats.ts'
import { mayProvideEngine, provideEngine, refusesEngine } from './engine-start.ts'

export interface SetupOptions {
  /** `--engine` or FAASDOCK_ENGINE. */
  readonly host?: string
  readonly env: NodeJS.ProcessEnv
  readonly home?: string
  /** Asked for only where there is no nats-server, and none can be installed. */
  readonly natsImage?: string
  /** Base images that builds will ask for. */
  readonly images: readonly string[]
  /** Told before anything is done to the machine. */
  readonly announce: Announce
}

export interface SetupReport {
  readonly engine: EngineAddress
  /** Who named the engine: `DOCKER_HOST`, `Docker`, `Colima` … */
  readonly source: string
  /** Present when this run started the engine. */
  readonly started?: EngineNote
  readonly images: readonly BaseImage[]
}

/**
 * Brings a machine to where functions can be built and run: an engine that answers and the base images on it.
 * Changes nothing that is there; asked again, it only looks. ENGINE_NOT_FOUND when there is no engine and none may be
 * installed; SETUP_FAILED when installing or starting it did not succeed. An image that cannot be had is in the
 * report as `missing`.
 */
export async function setup(options: SetupOptions): Promise<SetupReport> {
  const { env, announce } = options
  const found = await reachEngine(options)
  await ensureNats(env, announce)
  const { natsImage } = options
  const needsImage = natsImage !== undefined && !env['NATS_URL'] && natsProgram(env) === undefined
  const wanted = needsImage ? [...options.images, natsImage] : options.images
  const images = await ensureBaseImages(found.engine, wanted, {
    env,
    announce,
    mayMakeStandIns: wanted.length > 0 && (await mayMakeStandIns(found.engine)),
  })
  return { ...found, images }
}

async function reachEngine(options: SetupOptions): Promise<Omit<SetupReport, 'images'>> {
  const search = await findEngine({
    env: options.env,
    ...(options.host !== undefined && { host: options.host }),
    ...(options.home !== undefined && { home: options.home }),
  })
  if (search.engine) return { engine: search.engine, source: search.source ?? 'Docker' }
  const host = hostFacts()
  if (search.asked || somethingIsThere(search.attempts) || !mayProvideEngine(host, options.env)) {
    const error = engineNotFound(search.attempts, host)
    throw !search.asked && mayProvideEngine(host, {}) ? refused(error, options.env) : error
  }
  const { engine, note } = await provideEngine(host, options.announce)
  await writeEngineNote(note)
  return { engine, source: 'Docker', started: note }
}

/** Who refused the installation reads so, and not the advice to do what was refused. */
function refused(error: FaasError, env: NodeJS.ProcessEnv): FaasError {
  if (!refusesEngine(env)) return error
  const remedy = `FAASDOCK_INSTALL_ENGINE=${env['FAASDOCK_INSTALL_ENGINE'] ?? ''} keeps faasdock from installing or starting one. Unset it, or start an engine yourself.`
  return new FaasError(error.code, { message: error.message, remedy, cause: error })
}

/** An engine that hangs, or that this user may not use, is not replaced by another one on the same socket. */
function somethingIsThere(attempts: readonly EngineAttempt[]): boolean {
  return attempts.some(
    ({ outcome }) => outcome === 'timeout' || outcome === 'denied' || outcome === 'not-docker',
  )
}

/** Stand-ins are made of this machine's packages: for an engine on this machine only, as root on Debian or Ubuntu. */
async function mayMakeStandIns(engine: EngineAddress, host: HostFacts = hostFacts()): Promise<boolean> {
  if (!host.root || host.kind !== 'debian' || !isLocalSocket(engine)) return false
  const answer = await callEngine(engine, { path: '/version' })
  const { Arch: arch } = JSON.parse(await readText(answer.body)) as { Arch?: string }
  return arch === { x64: 'amd64', arm64: 'arm64' }[process.arch as string]
}
