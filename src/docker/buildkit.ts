import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { FaasError } from '../core/errors.ts'
import { BuildkitOutput } from './buildkit-output.ts'
import type { BuildkitClient } from './buildkit-client.ts'
import type { BuildImage, ImageBuild } from './image-build.ts'
import { buildFailure } from './step-log.ts'

/** What a cancelled client gets to tell the engine so, before it is killed. */
const CANCEL_MS = 3000

type Env = Readonly<Record<string, string | undefined>>

export interface BuildkitOptions {
  readonly client: BuildkitClient
  /** As DOCKER_HOST writes it; undefined leaves the choice to the client. */
  readonly engineAddress: string | undefined
  readonly env: Env
}

/** Builds with BuildKit through a Docker client: its session protocol is not the engine's HTTP API. */
export function makeBuildkitBuild(options: BuildkitOptions): BuildImage {
  return async (build) => {
    build.signal.throwIfAborted()
    const folder = await mkdtemp(join(tmpdir(), 'faasdock-build-'))
    const idFile = join(folder, 'image-id')
    try {
      let end = await runClient(build, options, idFile)
      if (isMute(end)) end = await runClient(build, options, idFile)
      if (end.code !== 0) throw failureOf(build, end)
      return (await readFile(idFile, 'utf8')).trim()
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
}

/** The client's arguments; exported for tests. The context comes on standard input. */
export function buildkitArgs(build: ImageBuild, client: BuildkitClient, idFile: string): string[] {
  const { tag, buildArgs, labels, noCache, secrets, mountSsh } = build
  return [
    // The developer may have made another builder the current one; those do not put images on this engine.
    ...(client.hasBuildx ? ['buildx', 'build', '--builder', 'default', '--load'] : ['build']),
    '--progress=plain',
    `--iidfile=${idFile}`,
    `--tag=${tag}`,
    '--file=Dockerfile',
    ...(noCache ? ['--no-cache'] : []),
    ...Object.entries(buildArgs).map(([name, value]) => `--build-arg=${name}=${value}`),
    ...Object.entries(labels).map(([name, value]) => `--label=${name}=${value}`),
    ...Object.entries(secrets).map(([id, file]) => `--secret=${csv([`id=${id}`, `src=${file}`])}`),
    ...(mountSsh ? ['--ssh=default'] : []),
    '-',
  ]
}

/** One line of CSV, which is how the client reads the parts of a flag. */
function csv(fields: readonly string[]): string {
  return fields.map((field) => (/[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(',')
}

interface ClientEnd {
  readonly code: number | null
  readonly output: BuildkitOutput
}

/** One whole run of the client, which may end badly; rejects when it could not do its part. */
async function runClient(build: ImageBuild, options: BuildkitOptions, idFile: string): Promise<ClientEnd> {
  const { client } = options
  // Its own process group: the client starts plugins, and a cancelled build must end all of them.
  const child = spawn(client.file, buildkitArgs(build, client, idFile), {
    env: clientEnv(options),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
  })
  const output = new BuildkitOutput(build.onOutput)
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => output.readLine(line))
  }
  const context = build.context()
  const broken = feed(context, child)
  const cancel = (): void => stop(child)
  build.signal.addEventListener('abort', cancel, { once: true })
  try {
    const code = await exitOf(child, client)
    build.signal.throwIfAborted()
    const failure = broken()
    if (failure) throw failure
    return { code, output }
  } finally {
    build.signal.removeEventListener('abort', cancel)
    context.destroy()
  }
}

/**
 * Whether a command failed of which nothing was told, not even which step it was. BuildKit runs a step that two builds have in
 * common once, and may tell it to one of them alone. Failures are not cached: who asks again is told.
 */
function isMute({ code, output }: ClientEnd): boolean {
  return code !== 0 && output.failedStep === undefined && output.exitCode !== undefined
}

/** Sends the context; one that breaks ends the client, since half a context would build half a function. */
function feed(context: Readable, child: ChildProcess): () => Error | undefined {
  let failure: Error | undefined
  context.once('error', (error) => {
    failure = error
    stop(child)
  })
  // The client may end before it has read everything; its exit code says why.
  child.stdin?.on('error', () => context.destroy())
  if (child.stdin) context.pipe(child.stdin)
  return () => failure
}

function exitOf(child: ChildProcess, client: BuildkitClient): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) =>
      reject(
        new FaasError('BUILD_FAILED', {
          message: `the Docker client ${client.file} could not be started: ${error.message}`,
          remedy: 'Reinstall it, or set FAASDOCK_BUILDER=classic.',
          cause: error,
        }),
      ),
    )
    child.once('close', resolve)
  })
}

function failureOf(build: ImageBuild, { output, code }: ClientEnd): FaasError {
  const reason =
    output.reason === '' ? `the Docker client ended with ${String(code)} and no word` : output.reason
  if (/cannot connect to the docker daemon|error during connect/i.test(reason)) {
    return new FaasError('ENGINE_NOT_FOUND', {
      message: `the Docker engine went away while it should build ${build.name}: ${reason}`,
      remedy: 'Start it again; `faasdock doctor` shows what was tried.',
    })
  }
  const { failedStep: step, exitCode } = output
  return buildFailure({ name: build.name, step, reason, exitCode, place: build.place })
}

function stop(child: ChildProcess): void {
  send(child, 'SIGTERM')
  const timer = setTimeout(() => send(child, 'SIGKILL'), CANCEL_MS)
  child.once('close', () => clearTimeout(timer))
}

function send(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(process.platform === 'win32' ? child.pid : -child.pid, signal)
  } catch {
    // It ended between the look and the signal.
  }
}

function clientEnv({ client, engineAddress, env }: BuildkitOptions): NodeJS.ProcessEnv {
  const chosen =
    engineAddress === undefined
      ? {}
      : // DOCKER_HOST decides only where no context is named.
        { DOCKER_HOST: engineAddress, DOCKER_CONTEXT: undefined }
  return {
    ...env,
    ...chosen,
    DOCKER_BUILDKIT: '1',
    // A function is one image, not an index with an attestation beside it: its id must be the one that runs.
    ...(client.hasBuildx && { BUILDX_NO_DEFAULT_ATTESTATIONS: '1' }),
    DOCKER_CLI_HINTS: 'false',
    NO_COLOR: '1',
  }
}
