import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { asFaasError } from '../core/errors.ts'
import { formatEngineAddress, isLocalSocket } from '../docker/engine-address.ts'
import type { EngineAddress } from '../docker/engine-address.ts'
import { hostFacts } from '../docker/engine-host.ts'
import { callEngine, readFailure, readText } from '../docker/engine-http.ts'
import { imageLabels } from '../docker/engine-images.ts'
import { engineNotFound, formatAttempts } from '../docker/engine-missing.ts'
import { findEngine } from '../docker/find-engine.ts'
import type { FindEngineOptions } from '../docker/find-engine.ts'
import type { DoctorCheck } from '../core/toolbox.ts'
import { diskCheck } from './doctor-machine.ts'
import { STAND_IN_LABEL } from './stand-in-base.ts'

export interface EngineQuestions extends Omit<FindEngineOptions, 'all'> {
  readonly images?: readonly string[]
}

/** All about the engine: which places were tried, what answers, and whether builds and calls will work with it. */
export async function engineChecks(options: EngineQuestions): Promise<DoctorCheck[]> {
  const search = await findEngine({ ...options, all: true }).catch((error: unknown) => asFaasError(error))
  if (search instanceof Error) {
    return [{ name: 'engine', ok: 'fail', detail: search.message, remedy: search.remedy }]
  }
  const { engine, source, attempts } = search
  if (!engine) {
    const { message, remedy } = engineNotFound(attempts, hostFacts(options.platform))
    return [{ name: 'engine', ok: 'fail', detail: message, remedy }]
  }
  const [first] = attempts
  const passedOver =
    first !== undefined && first.outcome !== 'ok' && first.source.startsWith('Docker context')
  const found: DoctorCheck = {
    name: 'engine',
    ok: passedOver ? 'warn' : 'ok',
    detail: [
      `${source ?? 'Docker'} at ${formatEngineAddress(engine)}. Places tried:`,
      ...formatAttempts(attempts),
    ].join('\n'),
    ...(passedOver && { remedy: 'Start that context’s engine, or leave it: docker context use default' }),
  }
  const rest = await Promise.all([
    attempt('engine version', () => versionChecks(engine)),
    attempt('engine disk', () => engineDisk(engine)),
    attempt('network', () => bridgeCheck(engine)),
    attempt('base images', () => imageChecks(engine, options.images ?? [])),
  ])
  return [found, ...rest.flat()]
}

/** An engine that answered a ping may still fail later questions: that is a finding, not an end. */
async function attempt(name: string, look: () => Promise<DoctorCheck[]>): Promise<DoctorCheck[]> {
  return look().catch((error: unknown) => [{ name, ok: 'fail', detail: asFaasError(error).message }])
}

async function versionChecks(engine: EngineAddress): Promise<DoctorCheck[]> {
  const { Version, ApiVersion, Arch } = await askJson<{ Version: string; ApiVersion: string; Arch: string }>(
    engine,
    '/version',
  )
  const here = { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch
  return [
    { name: 'engine version', ok: 'ok', detail: `${Version}, API ${ApiVersion}` },
    Arch === here
      ? { name: 'architecture', ok: 'ok', detail: Arch }
      : {
          name: 'architecture',
          ok: 'warn',
          detail: `the engine runs ${Arch}, this program ${here}`,
          remedy: `Images are built for ${Arch}. Pull or build base images for that.`,
        },
  ]
}

async function engineDisk(engine: EngineAddress): Promise<DoctorCheck[]> {
  const { DockerRootDir: root } = await askJson<{ DockerRootDir?: string }>(engine, '/info')
  // An engine in a virtual machine has its disk there, not here.
  if (root === undefined || !isLocalSocket(engine) || !existsSync(root)) return []
  return [await diskCheck('engine disk', root)]
}

async function bridgeCheck(engine: EngineAddress): Promise<DoctorCheck[]> {
  const network = await askJson<Bridge>(engine, '/networks/bridge')
  const bridge = (network.IPAM?.Config ?? []).map(gatewayOf).find((address) => address !== undefined)
  if (bridge === undefined || !(await isOwnAddress(bridge))) {
    return [
      { name: 'network', ok: 'ok', detail: 'functions are reached through ports published on 127.0.0.1' },
    ]
  }
  const forwards = await readFile('/proc/sys/net/ipv4/ip_forward', 'utf8').catch(() => '1')
  if (forwards.trim() === '0') {
    return [
      {
        name: 'network',
        ok: 'warn',
        detail: `functions are reached directly over the bridge ${bridge}, but cannot reach the outside: IP forwarding is off`,
        remedy: 'Run: sudo sysctl -w net.ipv4.ip_forward=1',
      },
    ]
  }
  return [{ name: 'network', ok: 'ok', detail: `functions are reached directly over the bridge ${bridge}` }]
}

interface Bridge {
  readonly IPAM?: {
    readonly Config?: readonly { readonly Gateway?: string; readonly Subnet?: string }[] | null
  }
}

/** The bridge's own address; engines leave it out where they chose it themselves, and then it is the subnet's first. */
function gatewayOf(config: { readonly Gateway?: string; readonly Subnet?: string }): string | undefined {
  return config.Gateway || config.Subnet?.replace(/\d+\/\d+$/, '1')
}

/** Whether the address is this machine's. Listening tells; a list of interfaces leaves out a bridge without containers. */
function isOwnAddress(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(0, address, () => server.close(() => resolve(true)))
  })
}

async function imageChecks(engine: EngineAddress, images: readonly string[]): Promise<DoctorCheck[]> {
  return Promise.all([...new Set(images)].map((image) => imageCheck(engine, image)))
}

async function imageCheck(engine: EngineAddress, image: string): Promise<DoctorCheck> {
  const name = `image ${image}`
  const labels = await imageLabels(engine, image)
  const standIn = labels?.[STAND_IN_LABEL]
  if (standIn !== undefined) {
    return {
      name,
      ok: 'warn',
      detail: `a stand-in: ${standIn}`,
      remedy: `Where its registry can be reached, get the real one: docker pull ${image}`,
    }
  }
  if (labels) return { name, ok: 'ok', detail: 'on the engine' }
  const problem = await askRegistry(engine, image)
  if (problem === undefined) return { name, ok: 'ok', detail: 'not on the engine yet; its registry has it' }
  return {
    name,
    ok: 'fail',
    detail: `not on the engine, and cannot be pulled: ${problem}`,
    remedy: 'Check the name in the Dockerfile and the network; faasdock setup makes a stand-in where it may.',
  }
}

const REGISTRY_LIMIT_MS = 5_000

/** Has the engine ask the image's registry about it, without pulling; undefined when the registry has it. */
async function askRegistry(engine: EngineAddress, image: string): Promise<string | undefined> {
  const signal = AbortSignal.timeout(REGISTRY_LIMIT_MS)
  try {
    const answer = await callEngine(engine, {
      path: `/distribution/${encodeURIComponent(image)}/json`,
      signal,
    })
    if (answer.status !== 200) return await readFailure(answer)
    answer.body.resume()
    return undefined
  } catch (error) {
    return signal.aborted ? `its registry did not answer within ${REGISTRY_LIMIT_MS / 1000} s` : String(error)
  }
}

async function askJson<T>(engine: EngineAddress, path: string): Promise<T> {
  const answer = await callEngine(engine, { path, signal: AbortSignal.timeout(10_000) })
  if (answer.status !== 200) throw new Error(`${path}: ${await readFailure(answer)}`)
  return JSON.parse(await readText(answer.body)) as T
}
