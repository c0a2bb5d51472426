import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cp, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dropOptionalMounts } from '../../../src/builder/optional-mounts.ts'
import { formatEngineAddress } from '../../../src/docker/engine-address.ts'
import { dockerAddress } from '../../support/docker.ts'
import { makeFolder } from '../../support/folder.ts'
import { callAt, until } from './call.ts'
import type { Answer, Call } from './call.ts'

export const repository = join(import.meta.dirname, '../../..')
/** Different in every run: what the builder still has from an earlier one would hide that nothing ran. */
export const unique = `${String(process.pid)}-${randomBytes(4).toString('hex')}`
/** The image of that name that is this run's own, whoever builds one of the same name at the same time. */
export const tag = (name: string): string => `faasdock-test-${name}-${unique}:latest`
/** Everything these tests make carries both: the first is everybody's, the second is this run's. */
const labels = ['com.faasdock.test=1', `com.faasdock.test.run=templates-${unique}`] as const
export const labelFlags = labels.flatMap((label) => ['--label', label])

interface Ended {
  readonly code: number
  /** stdout and stderr as they came. */
  readonly output: string
}

/** Runs a command of the docker CLI; resolves with its exit code. */
async function run(cli: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  const child = spawn(cli, args, { env: { ...process.env, ...engineHost(), ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code: code ?? -1, output }))
  })
}

/** The CLI asks the engine that the tests found, not the one of its own context. */
const engineHost = (): Record<string, string> => ({ DOCKER_HOST: formatEngineAddress(dockerAddress()) })

/** Runs `docker ARGS`; rejects with what it printed unless it succeeds. */
export async function docker(...args: readonly string[]): Promise<string> {
  const { code, output } = await run('docker', args, { DOCKER_BUILDKIT: '0' })
  if (code !== 0) throw new Error(`docker ${args.join(' ')}\n${output}`)
  return output.trim()
}

/** What goes into a build folder, as contract 5.4 assembles it. */
export interface Source {
  readonly template: string
  /** Files of the handler folder, or the folder. */
  readonly handler: Readonly<Record<string, string>> | string
  /** Folders put below the handler folder. */
  readonly copies?: readonly string[]
}

export interface BuildFolder extends AsyncDisposable {
  readonly path: string
  write(files: Readonly<Record<string, string>>): Promise<void>
}

const fromHost = (path: string): boolean => !/\/(node_modules|\.git)(\/|$)/.test(path)

/** Template, then handler over it, then the copies below the handler. */
export async function assemble({ template, handler, copies = [] }: Source): Promise<BuildFolder> {
  const folder = await makeFolder()
  const plain = template === 'dockerfile'
  const target = plain ? folder.path : join(folder.path, 'function')
  if (!plain) await cp(join(repository, 'templates', template), folder.path, { recursive: true })
  await mkdir(target, { recursive: true })
  const write = (files: Readonly<Record<string, string>>): Promise<void> =>
    folder.write(Object.fromEntries(Object.entries(files).map(([name, text]) => [plain ? name : join('function', name), text])))
  if (typeof handler === 'string') await cp(handler, target, { recursive: true, filter: fromHost })
  else await write(handler)
  for (const copy of copies) {
    await cp(copy, join(target, copy.split('/').at(-1) ?? ''), { recursive: true, filter: fromHost })
  }
  return { path: folder.path, write, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() }
}

/** The classic builder, which every engine has, without the mounts it does not know. Resolves with code and output. */
export async function tryBuild(
  folder: string,
  tag: string,
  args: Readonly<Record<string, string>> = {},
  more: readonly string[] = [],
): Promise<Ended> {
  const dockerfile = dropOptionalMounts(await readFile(join(folder, 'Dockerfile'), 'utf8'))
  await using aside = await makeFolder({ Dockerfile: dockerfile })
  return await buildWith('docker', '0', folder, tag, args, ['--file', join(aside.path, 'Dockerfile'), ...more])
}

function buildWith(
  cli: string,
  buildkit: string,
  folder: string,
  tag: string,
  args: Readonly<Record<string, string>>,
  more: readonly string[] = [],
): Promise<Ended> {
  const flags = Object.entries(args).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`])
  return run(cli, ['build', '--force-rm', ...labelFlags, ...flags, ...more, '--tag', tag, folder], { DOCKER_BUILDKIT: buildkit, BUILDKIT_PROGRESS: 'plain' })
}

/** A CLI that can drive BuildKit, if this machine has one: newer ones need the buildx plugin, older ones did not. */
export async function buildKit(): Promise<((folder: string, tag: string, more?: readonly string[]) => Promise<Ended>) | undefined> {
  for (const cli of ['docker', '/usr/bin/docker']) {
    const folder = await makeFolder({ Dockerfile: 'FROM scratch\nLABEL a=b\n' })
    const tried = await buildWith(cli, '1', folder.path, tag('buildkit-there'), {}).catch(() => undefined)
    await folder[Symbol.asyncDispose]()
    if (tried?.code === 0) return (path, tag, more) => buildWith(cli, '1', path, tag, {}, more)
  }
  return undefined
}

/** Builds, and rejects with the output where that fails. */
export async function build(source: Source, tag: string, args: Readonly<Record<string, string>> = {}): Promise<void> {
  await using folder = await assemble(source)
  const { code, output } = await tryBuild(folder.path, tag, args)
  if (code !== 0) throw new Error(`${tag} does not build\n${output}`)
}

export interface Container extends AsyncDisposable {
  readonly id: string
  /** Where its port 8080 is on 127.0.0.1. */
  readonly port: number
  call(call?: Call): Promise<Answer>
  logs(): Promise<string>
  exec(...command: readonly string[]): Promise<string>
  state(format: string): Promise<string>
}

/** As the provider runs functions: read-only root with /tmp, no capabilities, no new privileges, a process limit. */
const hardened = [
  ['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL'],
  ['--security-opt', 'no-new-privileges', '--pids-limit', '256'],
].flat()

/** Starts an image, and waits until it answers unless `waitFor` is `none`. */
export async function start(
  image: string,
  options: {
    readonly env?: Readonly<Record<string, string>>
    readonly flags?: readonly string[]
    readonly command?: readonly string[]
    readonly waitFor?: 'answer' | 'none'
  } = {},
): Promise<Container> {
  const env = Object.entries(options.env ?? {}).flatMap(([name, value]) => ['--env', `${name}=${value}`])
  const ports = ['--publish', '127.0.0.1::8080', '--publish', '127.0.0.1::8081']
  const flags = [...labelFlags, ...hardened, ...ports, ...env, ...(options.flags ?? [])]
  const id = await docker('run', '--detach', ...flags, image, ...(options.command ?? []))
  let port = 0
  const container: Container = {
    id,
    get port() {
      return port
    },
    call: (call) => callAt('127.0.0.1', port, call),
    logs: async () => (await run('docker', ['logs', id], {})).output,
    exec: (...command) => docker('exec', id, ...command),
    state: (format) => docker('inspect', '--format', format, id),
    [Symbol.asyncDispose]: async () => {
      await run('docker', ['rm', '--force', id], {})
    },
  }
  if (options.waitFor === 'none') return container
  try {
    port = Number((await docker('port', id, '8080/tcp')).split('\n')[0]?.split(':').at(-1))
    await until(
      () => container.call({ path: '/_/health' }),
      ({ status }) => status !== 503,
    )
  } catch (error) {
    const logs = await container.logs()
    await container[Symbol.asyncDispose]()
    throw new Error(`${image} does not answer\n${logs}`, { cause: error })
  }
  return container
}

/** Waits until a container has ended; resolves with its exit code. */
export async function exitCode(container: Container): Promise<number> {
  return Number(await docker('wait', container.id))
}

/** Removes what this run made: containers, networks, images. */
export async function removeAll(): Promise<void> {
  const filter = ['--filter', `label=${labels[1]}`, '--quiet']
  const remove = async (list: readonly string[], command: readonly string[]): Promise<void> => {
    const ids = new Set((await docker(...list, ...filter)).split('\n').filter(Boolean))
    if (ids.size > 0) await run('docker', [...command, ...ids], {})
  }
  await remove(['ps', '--all'], ['rm', '--force'])
  await remove(['network', 'ls'], ['network', 'rm'])
  await remove(['images'], ['rmi', '--force'])
  await run('docker', ['image', 'prune', '--force', '--filter', `label=${labels[1]}`], {})
}
