import { homedir } from 'node:os'
import { formatEngineAddress } from './engine-address.ts'
import type { EngineAddress } from './engine-address.ts'
import { askedFor, usualPlaces } from './engine-candidates.ts'
import type { EngineCandidate, Surroundings } from './engine-candidates.ts'
import { hostFacts } from './engine-host.ts'
import { engineNotFound } from './engine-missing.ts'
import type { EngineAttempt } from './engine-missing.ts'
import { pingEngine } from './engine-ping.ts'
import type { PingResult } from './engine-ping.ts'

export type { EngineAddress } from './engine-address.ts'

export interface FindEngineOptions {
  /** `--engine` or FAASDOCK_ENGINE. */
  readonly host?: string
  readonly env: NodeJS.ProcessEnv
  readonly home?: string
  readonly platform?: NodeJS.Platform
  /** Ask every place although one has answered: for `doctor`. */
  readonly all?: boolean
  /** How long one place may take to answer. Milliseconds, 2000 unless told. */
  readonly limitMs?: number
}

export interface EngineSearch {
  /** The first in order that answered. */
  readonly engine?: EngineAddress
  /** Who named it: `DOCKER_HOST`, `Docker context "colima"` … */
  readonly source?: string
  /** A flag or a variable named the engine: then nothing else was tried, and nothing is installed instead. */
  readonly asked: boolean
  /** In order, up to the one that answered (all of them with `all`). */
  readonly attempts: readonly EngineAttempt[]
}

/**
 * Looks for a Docker engine by really asking: `--engine`, DOCKER_HOST, DOCKER_CONTEXT; only when none of these is set
 * the current Docker context, /var/run/docker.sock, rootless Docker, Docker Desktop, Colima, Rancher Desktop, OrbStack,
 * Podman. BAD_CONFIG when what was asked for is no address. Finding none is no error here; see `requireEngine`.
 */
export async function findEngine(options: FindEngineOptions): Promise<EngineSearch> {
  const around: Surroundings = {
    ...(options.host !== undefined && { host: options.host }),
    env: options.env,
    home: options.home ?? homedir(),
    platform: options.platform ?? process.platform,
    uid: process.getuid?.(),
  }
  const asked = await askedFor(around)
  const candidates = asked ? [asked] : await usualPlaces(around)
  return { asked: asked !== undefined, ...(await firstAnswer(candidates, options)) }
}

/** The engine that `findEngine` finds; ENGINE_NOT_FOUND with all that was tried when there is none. */
export async function requireEngine(
  options: FindEngineOptions,
): Promise<{ readonly engine: EngineAddress; readonly source: string }> {
  const { engine, source, attempts } = await findEngine(options)
  if (engine && source !== undefined) return { engine, source }
  throw engineNotFound(attempts, hostFacts(options.platform))
}

/** Asks all at once, except those that connecting wakes, and takes the first *in order* that is an engine. */
async function firstAnswer(
  candidates: readonly EngineCandidate[],
  options: FindEngineOptions,
): Promise<Omit<EngineSearch, 'asked'>> {
  const enough = new AbortController()
  const ask = (candidate: EngineCandidate): Promise<PingResult> =>
    askCandidate(candidate, options, enough.signal)
  const asked = candidates.map((candidate) => (candidate.wakes ? undefined : ask(candidate)))
  const attempts: EngineAttempt[] = []
  let found: EngineCandidate | undefined
  for (const [index, candidate] of candidates.entries()) {
    if (found && !options.all) break
    const result = await (asked[index] ?? ask(candidate))
    attempts.push({ source: candidate.source, address: placeOf(candidate), ...result })
    if (result.outcome === 'ok') found ??= candidate
  }
  enough.abort()
  if (!found || 'lookedFor' in found.address) return { attempts }
  return { engine: found.address, source: found.source, attempts }
}

function askCandidate(
  candidate: EngineCandidate,
  options: FindEngineOptions,
  signal: AbortSignal,
): Promise<PingResult> {
  if ('lookedFor' in candidate.address) {
    return Promise.resolve({ outcome: 'missing', detail: candidate.address.why })
  }
  return pingEngine(candidate.address, {
    signal,
    ...(options.limitMs !== undefined && { limitMs: options.limitMs }),
  })
}

function placeOf({ address }: EngineCandidate): string {
  return 'lookedFor' in address ? address.lookedFor : formatEngineAddress(address)
}
