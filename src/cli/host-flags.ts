import type { Option } from 'commander'
import { engineOption } from './build-flags.ts'
import { flag, numberFlag } from './command.ts'

/** Flags of the commands that host a platform; config.ts reads them, the environment, and the defaults. */
export interface HostFlags {
  readonly port?: number
  readonly host?: string
  readonly engine?: string
  readonly data?: string
  readonly watch?: boolean
  readonly watchMode?: string
  readonly allowedHost?: string
  readonly allowedOrigin?: string
  readonly auth?: boolean
  readonly metricsPort?: string
  readonly natsUrl?: string
  readonly asyncMaxBody?: string
  readonly queueLimits?: string
  readonly upstreamTimeout?: string
  readonly startTimeout?: string
  readonly parallel?: number
  readonly stopFunctions?: boolean
  readonly record?: boolean
}

export function hostOptions(): Option[] {
  return [
    numberFlag(
      '-p, --port <port>',
      'port of the gateway; 0 takes any that is free (default: 8080, or the next free one) (env: FAASDOCK_PORT)',
    ),
    flag(
      '--host <address>',
      'address to listen on; other than 127.0.0.1 it is open to your network (default: 127.0.0.1) (env: FAASDOCK_HOST)',
    ),
    flag(
      '--allowed-host <names>',
      'names that requests may call the gateway by, with commas (env: FAASDOCK_ALLOWED_HOSTS)',
    ),
    flag(
      '--allowed-origin <origins>',
      'origins of web pages that may use the control routes, with commas, e.g. http://localhost:3000 (env: FAASDOCK_ALLOWED_ORIGINS)',
    ),
    flag(
      '--auth',
      'ask for a login at the control routes (default: only of callers from other machines and of functions) (env: basic_auth)',
    ),
    flag('--no-auth', 'ask nobody for a login (env: basic_auth=false)'),
    flag(
      '--metrics-port <port>',
      'port for metrics alone; 0 takes any that is free, "off" none (default: 8082, or the next free one) (env: FAASDOCK_METRICS_PORT)',
    ),
    flag(
      '--nats-url <address>',
      'a NATS server with JetStream for async calls, e.g. nats://127.0.0.1:4222 (default: one of our own) (env: NATS_URL)',
    ),
    flag(
      '--async-max-body <size>',
      'async calls with larger bodies are refused (default: 32Mi) (env: FAASDOCK_ASYNC_MAX_BODY)',
    ),
    flag(
      '--queue-limits <limits>',
      'async calls at once of named queues, "*" for all others, e.g. "slow=2,*=64" (default: *=128) (env: FAASDOCK_QUEUE_LIMITS)',
    ),
    flag(
      '--record',
      'keep the last invocations of each function, to be shown and replayed (default: only with a stack) (env: FAASDOCK_RECORD)',
    ),
    flag('--no-record', 'keep no invocations, and delete those that were kept (env: FAASDOCK_RECORD=false)'),
    flag('--data <folder>', 'where functions and secrets are kept (env: FAASDOCK_DATA)'),
    flag(
      '--upstream-timeout <duration>',
      'how long a function may take to answer (default: 10m) (env: upstream_timeout)',
    ),
    flag(
      '--start-timeout <duration>',
      'how long a function may take to start (default: 60s) (env: FAASDOCK_START_TIMEOUT)',
    ),
    engineOption(),
  ]
}
