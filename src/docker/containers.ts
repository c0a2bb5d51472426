import type Dockerode from 'dockerode'
import { FaasError } from '../core/errors.ts'
import type { Engine } from './client.ts'
import { engineFailure, isAlreadySo, isMissing } from './errors.ts'
import { LABEL, ownedBy, QUEUE_ROLE } from './labels.ts'

export interface ContainerPlan {
  readonly name: string
  readonly hostname: string
  readonly image: string
  readonly command?: readonly string[]
  readonly env: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly network: string
  readonly aliases: readonly string[]
  /** `name:address` lines for /etc/hosts. */
  readonly hosts: readonly string[]
  /** A folder of the container's own, filled before its process starts; it goes when the container goes. */
  readonly folder?: PrivateFolder
  /** A folder of the image that gets other files before the process starts. */
  readonly overlay?: PrivateFolder
  /** A folder of the engine's host, or a volume by its name, that outlives the container. */
  readonly mount?: Mount
  /** `UID:GID`, where the image's own will not do. */
  readonly user?: string
  readonly readOnlyRoot: boolean
  /** The engine starts it again when it ends or when the engine itself restarts; for what no reconciler looks after. */
  readonly restarts?: boolean
  readonly memoryBytes?: number
  readonly memoryReservationBytes?: number
  readonly cores?: number
  readonly coresReserved?: number
  /** `local` keeps the bytes as they are; `json-file` is what every engine has. */
  readonly logDriver?: 'local' | 'json-file'
  /** Publish this port on a free port of the engine host's loopback, for engines whose containers cannot be reached. */
  readonly publish?: number
}

interface Mount {
  readonly type: 'bind' | 'volume'
  readonly source: string
  readonly target: string
}

/** Files that are put into one container and are nowhere else: no path of the engine's host, no image, no layer. */
interface PrivateFolder {
  readonly path: string
  readonly labels: Readonly<Record<string, string>>
  /** Puts the files in. */
  readonly fill: (container: string) => Promise<void>
}

export interface RunningContainer {
  readonly id: string
  readonly address: string
  /** The loopback port that `publish` got. */
  readonly publishedPort: number | undefined
}

/** A container of ours, as the engine lists it. */
export interface ListedContainer extends RunningContainer {
  readonly isRunning: boolean
  readonly labels: Readonly<Record<string, string>>
  /** Seconds since the epoch. */
  readonly createdAt: number
}

/** Docker refuses less. */
const MIN_MEMORY_BYTES = 6 * 2 ** 20
/** Enough for any function, too few for a fork bomb to hurt the machine. */
const PIDS_LIMIT = 1024
/** Docker's weight of one core. */
const SHARES_PER_CORE = 1024

/** Creates and starts a container. Resolves once its process runs; on failure nothing of it stays. */
export async function runContainer(engine: Engine, plan: ContainerPlan): Promise<RunningContainer> {
  let container: Dockerode.Container
  try {
    container = await engine.createContainer(createBody(plan))
  } catch (error) {
    if (isMissing(error) && !saysNetwork(error)) {
      throw new FaasError('IMAGE_NOT_FOUND', {
        message: `the image ${plan.image} is not on the engine any more`,
        remedy: 'Build or pull it again, then deploy.',
        cause: error,
      })
    }
    throw engineFailure(error, `create a container of ${plan.image}`)
  }
  try {
    await plan.folder?.fill(container.id)
    await plan.overlay?.fill(container.id)
    await container.start()
    return await inspectRunning(container, plan.publish)
  } catch (error) {
    await removeContainer(engine, container.id).catch(() => undefined)
    throw startFailure(error, plan)
  }
}

/** Whether a container could not be run because its network is gone: somebody pruned it while nothing ran on it. */
export function isNetworkGone(error: unknown): boolean {
  return error instanceof FaasError && isMissing(error.cause) && saysNetwork(error.cause)
}

function saysNetwork(error: unknown): boolean {
  return error instanceof Error && /network \S+ not found/.test(error.message)
}

function createBody(plan: ContainerPlan): Dockerode.ContainerCreateOptions {
  const memory = plan.memoryBytes === undefined ? undefined : Math.max(plan.memoryBytes, MIN_MEMORY_BYTES)
  const published = plan.publish === undefined ? undefined : `${plan.publish}/tcp`
  const body: Dockerode.ContainerCreateOptions = {
    name: plan.name,
    Image: plan.image,
    ...(plan.user !== undefined && { User: plan.user }),
    ...(plan.command && { Cmd: [...plan.command] }),
    Env: [...plan.env],
    Labels: { ...plan.labels },
    ...(published !== undefined && { ExposedPorts: { [published]: {} } }),
    HostConfig: {
      NetworkMode: plan.network,
      ...mounts(plan),
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      PidsLimit: PIDS_LIMIT,
      ReadonlyRootfs: plan.readOnlyRoot,
      ...(plan.readOnlyRoot && { Tmpfs: { '/tmp': 'rw,nosuid,nodev,mode=1777' } }),
      // Equal memory and swap: a function over its limit is killed, not slowed down by swapping.
      ...(memory !== undefined && { Memory: memory, MemorySwap: memory }),
      ...(plan.memoryReservationBytes !== undefined && {
        MemoryReservation: Math.min(
          Math.max(plan.memoryReservationBytes, MIN_MEMORY_BYTES),
          memory ?? Number.MAX_SAFE_INTEGER,
        ),
      }),
      ...(plan.cores !== undefined && { NanoCpus: Math.max(1e7, Math.round(plan.cores * 1e9)) }),
      ...(plan.coresReserved !== undefined && {
        CpuShares: Math.max(2, Math.round(plan.coresReserved * SHARES_PER_CORE)),
      }),
      RestartPolicy: { Name: plan.restarts === true ? 'always' : 'no' },
      LogConfig: logConfig(plan.logDriver ?? 'json-file'),
      ...(published !== undefined && {
        PortBindings: { [published]: [{ HostIp: '127.0.0.1', HostPort: '' }] },
      }),
    },
  }
  // Of a network that is another container's, nothing is its own.
  if (plan.network.startsWith('container:')) return body
  return {
    ...body,
    Hostname: plan.hostname.slice(0, 63),
    HostConfig: { ...body.HostConfig, ExtraHosts: [...plan.hosts] },
    NetworkingConfig: { EndpointsConfig: { [plan.network]: { Aliases: [...plan.aliases] } } },
  }
}

/** 30 MB of the newest lines. Not compressed: whoever reads them would wait for it. */
function logConfig(driver: 'local' | 'json-file'): Dockerode.HostConfig['LogConfig'] {
  const limits = { 'max-size': '10m', 'max-file': '3' }
  return { Type: driver, Config: driver === 'local' ? { ...limits, compress: 'false' } : limits }
}

/** Into a root that nobody may write to an engine puts no files, but into a volume, which begins as the image's folder. */
function mounts({ folder, overlay, mount, readOnlyRoot }: ContainerPlan): Dockerode.HostConfig {
  const all = [
    ...(folder ? [asVolume(folder, true)] : []),
    ...(overlay && readOnlyRoot ? [asVolume(overlay, false)] : []),
    ...(mount ? [{ Type: mount.type, Source: mount.source, Target: mount.target }] : []),
  ]
  return all.length > 0 ? { Mounts: all } : {}
}

/** A volume without a name is removed with its container; the label is for those whose container somebody else removed. */
function asVolume({ path, labels }: PrivateFolder, isEmpty: boolean): Dockerode.MountSettings {
  // The types want a source, which is what gives a volume a name.
  const volume: Omit<Dockerode.MountSettings, 'Source'> = {
    Type: 'volume',
    Target: path,
    VolumeOptions: { NoCopy: isEmpty, Labels: { ...labels }, DriverConfig: { Name: '', Options: {} } },
  }
  return volume as Dockerode.MountSettings
}

function startFailure(error: unknown, plan: ContainerPlan): FaasError {
  const said = error instanceof Error ? error.message : String(error)
  if (/executable file not found|no such file or directory: unknown|permission denied: unknown/.test(said)) {
    return new FaasError('REPLICA_EXITED', {
      message: `the command of ${plan.image} could not be started: ${said}`,
      remedy: 'Check the image’s CMD or ENTRYPOINT, and `fprocess` in the stack file.',
      cause: error,
    })
  }
  if (said.includes('exec format error')) {
    return new FaasError('IMAGE_WRONG_PLATFORM', {
      message: `${plan.image} was built for another processor architecture`,
      remedy: 'Build it on this machine, or for the engine’s architecture.',
      cause: error,
    })
  }
  return engineFailure(error, `start a container of ${plan.image}`)
}

async function inspectRunning(container: Dockerode.Container, publish?: number): Promise<RunningContainer> {
  const { NetworkSettings } = await container.inspect()
  const address = Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? ''
  const port = publish === undefined ? undefined : NetworkSettings.Ports[`${publish}/tcp`]?.[0]?.HostPort
  return { id: container.id, address, publishedPort: port === undefined ? undefined : Number(port) }
}

/** The containers of an instance, dead ones too. */
export async function listContainers(
  engine: Engine,
  instance: string,
  role: string,
): Promise<ListedContainer[]> {
  try {
    const containers = await engine.listContainers({ all: true, filters: ownedBy(instance, role) })
    return containers.map((container) => ({
      id: container.Id,
      isRunning: container.State === 'running',
      labels: container.Labels,
      createdAt: container.Created,
      address: Object.values(container.NetworkSettings.Networks)[0]?.IPAddress ?? '',
      publishedPort: container.Ports.find(({ PublicPort }) => Boolean(PublicPort))?.PublicPort,
    }))
  } catch (error) {
    throw engineFailure(error, 'list containers')
  }
}

/** SIGTERM, `graceSeconds` to end, SIGKILL. One that ended or is gone is no error. */
export async function stopContainer(engine: Engine, id: string, graceSeconds: number): Promise<void> {
  try {
    await engine.getContainer(id).stop({ t: graceSeconds })
  } catch (error) {
    if (!isMissing(error) && !isAlreadySo(error))
      throw engineFailure(error, `stop container ${id.slice(0, 12)}`)
  }
}

/** Removes a container whatever it does, with its anonymous volumes. One that is gone, or going, is no error. */
export async function removeContainer(engine: Engine, id: string): Promise<void> {
  try {
    await engine.getContainer(id).remove({ force: true, v: true })
  } catch (error) {
    if (!isMissing(error) && !isAlreadySo(error))
      throw engineFailure(error, `remove container ${id.slice(0, 12)}`)
  }
}

export interface ContainerEnd {
  readonly isRunning: boolean
  readonly exitCode: number
  readonly wasOutOfMemory: boolean
  /** What the engine says, for a container that could not be run at all. */
  readonly error: string
}

/** Whether a container runs, and how it ended if not. Undefined when it is gone. */
export async function containerEnd(engine: Engine, id: string): Promise<ContainerEnd | undefined> {
  try {
    const { State } = await engine.getContainer(id).inspect()
    return {
      isRunning: State.Running,
      exitCode: State.ExitCode,
      wasOutOfMemory: State.OOMKilled,
      error: State.Error,
    }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw engineFailure(error, `inspect container ${id.slice(0, 12)}`)
  }
}

/** Id of the image that a container was made of. Undefined when it is gone. */
export async function containerImage(engine: Engine, id: string): Promise<string | undefined> {
  try {
    return (await engine.getContainer(id).inspect()).Image
  } catch (error) {
    if (isMissing(error)) return undefined
    throw engineFailure(error, `inspect container ${id.slice(0, 12)}`)
  }
}

/** Runs a command in a container and gives its standard output; undefined when it cannot be run or fails. */
export async function execOutput(
  engine: Engine,
  id: string,
  command: readonly string[],
): Promise<string | undefined> {
  try {
    const exec = await engine
      .getContainer(id)
      .exec({ Cmd: [...command], AttachStdout: true, AttachStderr: false })
    const stream = await exec.start({ Tty: false })
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    const { ExitCode } = await exec.inspect()
    return ExitCode === 0 ? Buffer.concat(chunks).toString('latin1') : undefined
  } catch {
    return undefined
  }
}

/** Variables an image sets, as `NAME=value`. Undefined when the image is gone. */
export async function imageEnv(engine: Engine, image: string): Promise<readonly string[] | undefined> {
  try {
    const { Config } = await engine.getImage(image).inspect()
    // Null for an image that sets nothing, whatever the types say.
    return (Config as { Env: string[] | null }).Env ?? []
  } catch (error) {
    if (isMissing(error)) return undefined
    throw engineFailure(error, `inspect the image ${image}`)
  }
}

/** Removes everything of an instance, whatever it is, but its queue: that ends after whoever works at it. */
export async function removeContainersOf(engine: Engine, instance: string): Promise<void> {
  const containers = await engine.listContainers({ all: true, filters: ownedBy(instance) })
  const others = containers.filter(({ Labels: labels }) => labels[LABEL.role] !== QUEUE_ROLE)
  await Promise.all(others.map(({ Id }) => removeContainer(engine, Id)))
}

/** Resolves with the exit code of a container when it ends; rejects when the engine went away, or it is gone. */
export async function waitForEnd(engine: Engine, id: string): Promise<number> {
  const { StatusCode } = (await engine.getContainer(id).wait()) as { StatusCode: number }
  return StatusCode
}
