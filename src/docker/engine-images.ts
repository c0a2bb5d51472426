import type { Readable } from 'node:stream'
import { FaasError } from '../core/errors.ts'
import { formatEngineAddress } from './engine-address.ts'
import type { EngineAddress } from './engine-address.ts'
import { callEngine, readFailure, readText } from './engine-http.ts'
import type { EngineAnswer, EngineCall } from './engine-http.ts'
import { progressRecords } from './progress.ts'

/** True when the engine has an image of that name. */
export async function hasImage(engine: EngineAddress, image: string): Promise<boolean> {
  const answer = await ask(engine, { path: `/images/${encodeURIComponent(image)}/json` })
  answer.body.resume()
  return answer.status === 200
}

/** The labels of an image on the engine; undefined when there is no such image. */
export async function imageLabels(
  engine: EngineAddress,
  image: string,
): Promise<Readonly<Record<string, string>> | undefined> {
  const answer = await ask(engine, { path: `/images/${encodeURIComponent(image)}/json` })
  const text = await readText(answer.body)
  if (answer.status !== 200) return undefined
  return (JSON.parse(text) as { Config?: { Labels?: Record<string, string> | null } }).Config?.Labels ?? {}
}

/** Why a pull failed: the registry cannot be reached (or says "too many"), or it answered that it has no such image. */
export type PullOutcome =
  | { readonly pulled: true }
  | { readonly pulled: false; readonly reason: 'unreachable' | 'refused' | 'stalled'; readonly said: string }

/** What engines say when it is the network, or the registry's mood, and not the name that is wrong. */
const UNREACHABLE =
  /no such host|server misbehaving|dial tcp|network is unreachable|connection (refused|reset)|i\/o timeout|TLS handshake|x509|Client\.Timeout|deadline exceeded|toomanyrequests|rate limit|50[0234] /i

/** Pulls `image`; gives up after `stallMs` without any progress. Never throws for what a registry does. */
export async function pullImage(
  engine: EngineAddress,
  image: string,
  options: {
    readonly stallMs: number
    /** Where the user's sign-ins to registries are found. */
    readonly env: NodeJS.ProcessEnv
    readonly onProgress?: (line: string) => void
  },
): Promise<PullOutcome> {
  const stalled = new AbortController()
  const timer = setTimeout(() => stalled.abort(), options.stallMs)
  try {
    const query = new URLSearchParams({ fromImage: image, ...(!hasTag(image) && { tag: 'latest' }) })
    const answer = await ask(engine, {
      method: 'POST',
      path: `/images/create?${query.toString()}`,
      headers: await signIn(image, options.env),
      signal: stalled.signal,
    })
    if (answer.status !== 200) return notPulled(await readFailure(answer))
    await readProgress(answer.body, (line) => {
      timer.refresh()
      options.onProgress?.(line)
    })
    return { pulled: true }
  } catch (error) {
    if (stalled.signal.aborted) {
      return {
        pulled: false,
        reason: 'stalled',
        said: `no progress for ${Math.round(options.stallMs / 1000)} s`,
      }
    }
    if (error instanceof FaasError && error.code === 'ENGINE_FAILED') return notPulled(error.message)
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Makes an image of one layer from a tar of a root file system, as `docker import` does. */
export async function importImage(
  engine: EngineAddress,
  tar: Readable,
  options: { readonly image: string; readonly changes: readonly string[] },
): Promise<void> {
  const { repository, tag } = splitTag(options.image)
  const query = new URLSearchParams({ fromSrc: '-', repo: repository, tag })
  for (const change of options.changes) query.append('changes', change)
  const answer = await ask(engine, {
    method: 'POST',
    path: `/images/create?${query.toString()}`,
    body: tar,
    contentType: 'application/x-tar',
  })
  await expectOk(answer, `import ${options.image}`)
}

/** Builds a context (a tar with a Dockerfile) with the engine's classic builder, which every engine has. */
export async function buildImage(
  engine: EngineAddress,
  context: Readable,
  options: { readonly tags: readonly string[]; readonly onOutput?: (line: string) => void },
): Promise<void> {
  const query = new URLSearchParams({ forcerm: '1' })
  for (const tag of options.tags) query.append('t', tag)
  const answer = await ask(engine, {
    method: 'POST',
    path: `/build?${query.toString()}`,
    body: context,
    contentType: 'application/x-tar',
  })
  await expectOk(answer, `build ${options.tags.join(', ')}`, options.onOutput)
}

async function ask(engine: EngineAddress, call: EngineCall): Promise<EngineAnswer> {
  try {
    return await callEngine(engine, call)
  } catch (error) {
    if (call.signal?.aborted) throw error
    throw new FaasError('ENGINE_NOT_FOUND', {
      message: `the engine at ${formatEngineAddress(engine)} went away: ${(error as Error).message}`,
      remedy: 'Start it again; `faasdock doctor` shows what was tried.',
      cause: error,
    })
  }
}

async function expectOk(answer: EngineAnswer, doing: string, onLine?: (line: string) => void): Promise<void> {
  if (answer.status !== 200) throw failed(doing, await readFailure(answer))
  const last: string[] = []
  try {
    await readProgress(answer.body, (line) => {
      last.push(line)
      if (last.length > 15) last.shift()
      onLine?.(line)
    })
  } catch (error) {
    if (error instanceof FaasError) throw failed(doing, [...last, error.message].join('\n'))
    throw error
  }
}

/** The engine signs in with what it is given; public images need nothing. Loaded late: it is read for a pull only. */
async function signIn(image: string, env: NodeJS.ProcessEnv): Promise<Readonly<Record<string, string>>> {
  const { readRegistryConfig } = await import('./registry-config.ts')
  const login = await (await readRegistryConfig(env)).loginFor(image)
  return login ? { 'x-registry-auth': Buffer.from(JSON.stringify(login)).toString('base64url') } : {}
}

/** Reads a progress stream to its end; engines report failures *inside* it, under status 200. */
async function readProgress(body: Readable, onLine: (line: string) => void): Promise<void> {
  for await (const { error, stream, id, status } of progressRecords(body)) {
    if (error !== undefined) throw failed('go on', error)
    const said = stream ?? [id, status].filter(Boolean).join(' ')
    for (const line of said.split('\n')) if (line.trim() !== '') onLine(line.trimEnd())
  }
}

function failed(doing: string, said: string): FaasError {
  return new FaasError('ENGINE_FAILED', {
    message: doing === 'go on' ? said : `the engine could not ${doing}: ${said}`,
    remedy: 'See the engine’s own log for more; `faasdock doctor` checks the usual causes.',
  })
}

function notPulled(said: string): PullOutcome {
  return { pulled: false, reason: UNREACHABLE.test(said) ? 'unreachable' : 'refused', said }
}

function hasTag(image: string): boolean {
  return image.includes('@') || /:[^/]+$/.test(image)
}

function splitTag(image: string): { repository: string; tag: string } {
  const [, repository, tag] = /^(.*?)(?::([^/:]+))?$/.exec(image) ?? []
  return { repository: repository ?? image, tag: tag ?? 'latest' }
}
