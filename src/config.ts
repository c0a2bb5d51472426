import { createHash } from 'node:crypto'
import { basename, dirname, join, resolve } from 'node:path'
import envPaths from 'env-paths'
import { z } from 'zod'
import { FaasError } from './core/errors.ts'
import { parseMemory } from './core/quantity.ts'
import type { StackChoice } from './core/stack.ts'

/** Everything that can be set, with one value each. Made by `readConfig`, sliced by app.ts. */
export interface Config {
  readonly host: string
  readonly port: number
  /** The default port may give way to the next free one; one that somebody asked for may not. */
  readonly isPortGiven: boolean
  /** Of the listener for metrics alone, on the same host; `off` for none. */
  readonly metricsPort: number | 'off'
  readonly isMetricsPortGiven: boolean
  /** Whether control routes ask for a login; `auto`: wherever others than this machine's own users can reach them. */
  readonly auth: 'auto' | 'on' | 'off'
  /** Where the login's files are looked for first. */
  readonly secretMountPath: string
  readonly dataDir: string
  /** `--engine`; absent means: search. */
  readonly engine?: string
  readonly allowedHosts: readonly string[]
  /** Origins of pages, besides our own, that may use the control routes: `http://localhost:3000`. */
  readonly allowedOrigins: readonly string[]
  /** For a replica that answers, and then again until the first byte of its answer, milliseconds. */
  readonly upstreamTimeoutMs: number
  readonly startTimeoutMs: number
  readonly drainMs: number
  /** Functions end with the platform; those of a registry are started again by the next one. */
  readonly stopFunctions: boolean
  /** A NATS server that somebody else looks after; absent means: one of our own. */
  readonly natsUrl?: string
  /** Larger bodies of async calls are refused, bytes. */
  readonly asyncMaxBodyBytes: number
  /** Calls of a queue at once, by its name; `*` is every other. */
  readonly queueLimits: ReadonlyMap<string, number>
  /** How long a call id is remembered, so that the same one is not queued twice, milliseconds. */
  readonly asyncDedupeMs: number
  readonly reach: 'auto' | 'published'
  readonly relayImage: string
  /** For a container that keeps async calls, where there is no nats-server. */
  readonly natsImage: string
  readonly builder: 'auto' | 'classic' | 'buildkit'
  readonly buildsAtOnce: number
  readonly watch: boolean
  /** How changes are noticed: by file events, by looking, or by what fits where a file lies. */
  readonly watchMode: 'auto' | 'events' | 'poll'
  /** How long calls of a function that was saved may wait for its new code, milliseconds. */
  readonly holdMs: number
  /** Whether the last invocations of each function are kept. */
  readonly record: boolean
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly stack?: StackChoice
}

export interface ConfigSources {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly flags: Readonly<Record<string, string | number | boolean>>
  readonly stack?: StackChoice
}

/** How each setting is called on the command line and in the environment. OpenFaaS's own names where it has one. */
const SETTINGS = {
  host: { flag: 'host', variable: 'FAASDOCK_HOST' },
  port: { flag: 'port', variable: 'FAASDOCK_PORT' },
  metricsPort: { flag: 'metricsPort', variable: 'FAASDOCK_METRICS_PORT' },
  auth: { flag: 'auth', variable: 'basic_auth' },
  secretMountPath: { flag: 'secretMountPath', variable: 'secret_mount_path' },
  dataDir: { flag: 'data', variable: 'FAASDOCK_DATA' },
  engine: { flag: 'engine', variable: 'FAASDOCK_ENGINE' },
  allowedHosts: { flag: 'allowedHost', variable: 'FAASDOCK_ALLOWED_HOSTS' },
  allowedOrigins: { flag: 'allowedOrigin', variable: 'FAASDOCK_ALLOWED_ORIGINS' },
  upstreamTimeoutMs: { flag: 'upstreamTimeout', variable: 'upstream_timeout' },
  startTimeoutMs: { flag: 'startTimeout', variable: 'FAASDOCK_START_TIMEOUT' },
  drainMs: { flag: 'drainTimeout', variable: 'FAASDOCK_DRAIN_TIMEOUT' },
  stopFunctions: { flag: 'stopFunctions', variable: 'FAASDOCK_STOP_FUNCTIONS' },
  natsUrl: { flag: 'natsUrl', variable: 'NATS_URL' },
  asyncMaxBodyBytes: { flag: 'asyncMaxBody', variable: 'FAASDOCK_ASYNC_MAX_BODY' },
  queueLimits: { flag: 'queueLimits', variable: 'FAASDOCK_QUEUE_LIMITS' },
  asyncDedupeMs: { flag: 'asyncDedupe', variable: 'FAASDOCK_ASYNC_DEDUPE' },
  reach: { flag: 'reach', variable: 'FAASDOCK_REACH' },
  relayImage: { flag: 'relayImage', variable: 'FAASDOCK_RELAY_IMAGE' },
  natsImage: { flag: 'natsImage', variable: 'FAASDOCK_NATS_IMAGE' },
  builder: { flag: 'builder', variable: 'FAASDOCK_BUILDER' },
  buildsAtOnce: { flag: 'parallel', variable: 'FAASDOCK_PARALLEL' },
  watch: { flag: 'watch', variable: 'FAASDOCK_WATCH' },
  watchMode: { flag: 'watchMode', variable: 'FAASDOCK_WATCH_MODE' },
  holdMs: { flag: 'hold', variable: 'FAASDOCK_HOLD' },
  record: { flag: 'record', variable: 'FAASDOCK_RECORD' },
} as const

const duration = z.union([z.string(), z.number()]).transform((value, ctx) => {
  const ms = parseDuration(String(value))
  if (ms === undefined) {
    ctx.addIssue('a duration such as "90s", "5m", "1h30m", or whole seconds')
    return z.NEVER
  }
  return ms
})

const bytes = z.union([z.string(), z.number()]).transform((value, ctx) => {
  const amount = readBytes(String(value))
  if (amount !== undefined) return amount
  ctx.addIssue('a size such as "32Mi" or 1000000')
  return z.NEVER
})

const QUEUE_LIMITS = /^\s*([-a-zA-Z0-9_.]+|\*)=[1-9]\d{0,3}\s*(,\s*([-a-zA-Z0-9_.]+|\*)=[1-9]\d{0,3}\s*)*$/

const PORT = 'a port from 0 to 65535'
const PORT_OR_OFF = `${PORT}, or "off"`
const portOf = (accepted: string) =>
  z.coerce.number(accepted).int(accepted).min(0, accepted).max(65535, accepted)

const yesOrNo = z.union([
  z.boolean(),
  z.enum(['true', 'false', '1', '0'], 'true or false').transform((text) => text === 'true' || text === '1'),
])

/** Names with commas between them. */
const names = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((name) => name.trim().toLowerCase())
      .filter(Boolean),
  )

const schema = z.object({
  host: z.string().min(1, 'an address').default('127.0.0.1'),
  port: portOf(PORT).default(8080),
  metricsPort: z.union([z.literal('off'), portOf(PORT_OR_OFF)], PORT_OR_OFF).default(8082),
  auth: z
    .union([z.boolean(), z.enum(['true', '1', 'false', '0'])], 'true or 1, false or 0')
    .transform((value): Config['auth'] => ([true, 'true', '1'].includes(value) ? 'on' : 'off'))
    .default('auto'),
  secretMountPath: z.string().min(1, 'a folder').default('/run/secrets'),
  dataDir: z.string().min(1, 'a folder').optional(),
  engine: z.string().min(1, 'an address of an engine').optional(),
  allowedHosts: names,
  allowedOrigins: names.refine(
    (origins) => origins.every(isOrigin),
    'origins such as "http://localhost:3000"',
  ),
  upstreamTimeoutMs: duration.default(10 * 60_000),
  startTimeoutMs: duration.default(60_000),
  drainMs: duration.default(30_000),
  stopFunctions: yesOrNo.default(false),
  natsUrl: z.string().min(1, 'an address such as nats://127.0.0.1:4222').optional(),
  asyncMaxBodyBytes: bytes.default(32 * 2 ** 20),
  queueLimits: z
    .string()
    .regex(QUEUE_LIMITS, 'names and numbers such as "slow=2,reports=8", "*" for all others')
    .transform((text) => new Map(text.split(',').map((pair) => readLimit(pair))))
    .default(new Map()),
  asyncDedupeMs: duration.refine((ms) => ms >= 1000, 'a duration of at least 1s').default(120_000),
  reach: z.enum(['auto', 'published'], '"auto" or "published"').default('auto'),
  relayImage: z.string().min(1, 'an image').default('node:20-alpine'),
  natsImage: z.string().min(1, 'an image').default('nats:2-alpine'),
  builder: z.enum(['auto', 'classic', 'buildkit'], '"auto", "classic" or "buildkit"').default('auto'),
  buildsAtOnce: z.coerce
    .number('a whole number from 1')
    .int('a whole number from 1')
    .min(1, 'a whole number from 1')
    .default(4),
  watch: yesOrNo.default(true),
  watchMode: z.enum(['auto', 'events', 'poll'], '"auto", "events" or "poll"').default('auto'),
  holdMs: duration.refine((ms) => ms <= 60_000, 'a duration of at most 1m').default(2000),
  record: yesOrNo.optional(),
})

/** Flags over environment over defaults. Unlike OpenFaaS, a value that cannot be read is an error (BAD_CONFIG). */
export function readConfig({ env, cwd, flags, stack }: ConfigSources): Config {
  const given: Record<string, unknown> = {}
  for (const [name, { flag, variable }] of Object.entries(SETTINGS)) {
    const value = flags[flag] ?? (env[variable] === '' ? undefined : env[variable])
    if (value !== undefined) given[name] = value
  }
  const result = schema.safeParse(given)
  if (!result.success) throw badConfig(result.error, flags, given)
  const { dataDir, engine, natsUrl, record, ...rest } = result.data
  return {
    ...rest,
    isPortGiven: given['port'] !== undefined,
    isMetricsPortGiven: given['metricsPort'] !== undefined,
    secretMountPath: resolve(cwd, rest.secretMountPath),
    dataDir: dataDirOf(cwd, stack?.file, dataDir),
    // For whoever writes functions; a shared gateway keeps nothing of its callers unasked.
    record: record ?? stack !== undefined,
    ...(engine !== undefined && { engine }),
    ...(natsUrl !== undefined && { natsUrl }),
    ...(stack !== undefined && { stack }),
    env,
    cwd,
  }
}

/** As browsers send it: no path, no trailing slash. */
function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}

/** Milliseconds of a Go duration (`1h2m3.5s`, `300ms`) or of whole seconds; undefined when it is neither. */
function parseDuration(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) return undefined
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ''] ?? NaN), 0)
}

function readBytes(text: string): number | undefined {
  try {
    return parseMemory(text)
  } catch {
    return undefined
  }
}

function readLimit(pair: string): [string, number] {
  const [name = '', limit] = pair.trim().split('=')
  return [name, Number(limit)]
}

/**
 * Absolute path of the data directory of `dev` with a stack file, or of `serve` without one. `given`: what --data or
 * FAASDOCK_DATA says.
 */
export function dataDirOf(cwd: string, stackFile: string | undefined, given: string | undefined): string {
  return given === undefined ? defaultDataDir(cwd, stackFile) : resolve(cwd, given)
}

/** One folder per stack file for `dev`, so that projects do not share functions; one for all that `serve` keeps. */
function defaultDataDir(cwd: string, stackFile: string | undefined): string {
  const base = envPaths('faasdock', { suffix: '' }).data
  if (stackFile === undefined) return join(base, 'serve')
  const file = resolve(cwd, stackFile)
  const hash = createHash('sha256').update(file).digest('hex').slice(0, 8)
  return join(base, 'dev', `${basename(dirname(file)) || 'stack'}-${hash}`)
}

function badConfig(
  error: z.ZodError,
  flags: ConfigSources['flags'],
  given: Record<string, unknown>,
): FaasError {
  const lines = error.issues.map(({ path, message }) => {
    const name = String(path[0]) as keyof typeof SETTINGS
    const { flag, variable } = SETTINGS[name]
    const source =
      flags[flag] === undefined
        ? variable
        : `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
    return `${source} is ${JSON.stringify(given[name])}; accepted is ${message}`
  })
  return new FaasError('BAD_CONFIG', {
    message: lines.join('\n'),
    remedy: 'Correct the value, or leave it out.',
  })
}
