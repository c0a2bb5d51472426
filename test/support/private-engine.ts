import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { callEngine } from '../../src/docker/engine-http.ts'
import { hostFacts } from '../../src/docker/engine-host.ts'
import { socketAddress } from '../../src/docker/engine-address.ts'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { startDockerd } from '../../src/setup/engine-start.ts'
import { dockerAddress } from './docker.ts'
import { until } from './until.ts'

const run = promisify(execFile)

/** Perl is a part of every Debian, iproute2 is not: SIOCSIFFLAGS with IFF_UP and IFF_RUNNING. */
const LOOPBACK_UP =
  'socket(S, 2, 2, 0) or die; $up = pack("a16 s x22", "lo", 0x41); ioctl(S, 0x8914, $up) or die "$!"'

/** Why an engine of one's own cannot be had here; undefined where it can. */
export function noPrivateEngine(): string | undefined {
  const { root } = hostFacts()
  if (process.platform !== 'linux' || !root) return 'needs root on Linux'
  return existsSync('/usr/sbin/dockerd') ? undefined : 'needs dockerd'
}

/** An engine that may be broken: in a network of its own, with its images on a disk of its own. */
export interface PrivateEngine extends AsyncDisposable {
  /** `unix:///…` */
  readonly address: string
  /** `tcp://…`, in its own network only. */
  readonly tcpAddress: string
  readonly engine: Engine
  /** Put before a command that has to reach the engine's containers. */
  readonly inside: readonly [string, ...string[]]
  start(): Promise<void>
  stop(): Promise<void>
  /** Copies an image of the tests' engine. */
  load(image: string): Promise<void>
}

/** On its own loopback, where nobody else listens. */
const TCP_PORT = 2375

/**
 * Starts one below `folder`, with a disk of `megabytes`. `hidden`: a folder of this machine that it finds empty, as an
 * engine on another machine would.
 */
export async function startPrivateEngine(
  folder: string,
  megabytes: number,
  hidden?: string,
): Promise<PrivateEngine> {
  const disk = join(folder, 'disk')
  await mkdir(disk, { recursive: true })
  await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', disk])
  const [unshare, ...ownNetwork] = ['unshare', '--net', 'sleep', 'infinity'] as const
  const holder = spawn(unshare, ownNetwork, { stdio: 'ignore' })
  const network = `/proc/${String(holder.pid)}/ns/net`
  // In this network nothing of the machine's own engine is seen or changed: neither its bridge nor its rules.
  const inside = ['nsenter', `--net=${network}`] as const
  const socket = socketAddress(join(folder, 'engine.sock'))
  const engine = makeEngine(socket)
  let pid: number | undefined

  const start = async (): Promise<void> => {
    pid = await startDockerd({
      engine: socket,
      log: join(folder, 'dockerd.log'),
      command: hidden === undefined ? [...inside, 'dockerd'] : [...inside, ...withEmpty(hidden), 'dockerd'],
      args: [
        `--host=unix://${socket.socketPath}`,
        `--host=tcp://127.0.0.1:${TCP_PORT}`,
        `--data-root=${disk}`,
        `--exec-root=${join(folder, 'exec')}`,
        `--pidfile=${join(folder, 'dockerd.pid')}`,
      ],
    })
  }
  const stop = async (): Promise<void> => {
    if (pid === undefined) return
    process.kill(pid, 'SIGTERM')
    const gone = `/proc/${pid}/exe`
    await until(() => !existsSync(gone), { limitMs: 60_000, what: () => 'the end of a private dockerd' })
    pid = undefined
  }
  const dispose = async (): Promise<void> => {
    await stop()
    await run('umount', ['--lazy', disk])
    holder.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
  try {
    const ours = await readlink('/proc/self/ns/net')
    await until(async () => (await readlink(network)) !== ours, { what: () => 'a network of its own' })
    await run(inside[0], [inside[1], 'perl', '-e', LOOPBACK_UP])
    await start()
  } catch (error) {
    await dispose()
    throw error
  }
  return {
    address: `unix://${socket.socketPath}`,
    tcpAddress: `tcp://127.0.0.1:${TCP_PORT}`,
    engine,
    inside: [...inside],
    start,
    stop,
    load: (image) => copyImage(image, socket),
    [Symbol.asyncDispose]: dispose,
  }
}

/** Before a command that shall find a folder empty; nobody else does. */
function withEmpty(hidden: string): readonly string[] {
  const script = 'mount -t tmpfs tmpfs "$0" && exec "$@"'
  return ['unshare', '--mount', '--propagation=private', 'sh', '-c', script, hidden]
}

async function copyImage(image: string, to: ReturnType<typeof socketAddress>): Promise<void> {
  const saved = await callEngine(dockerAddress(), {
    method: 'GET',
    path: `/images/${encodeURIComponent(image)}/get`,
  })
  const engine = makeEngine(to)
  const answer = await engine.loadImage(saved.body)
  await pipeline(answer, async (chunks) => {
    for await (const _chunk of chunks) continue
  })
}
