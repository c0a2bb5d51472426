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
  readonly allowedHost?: string
  readonly upstreamTimeout?: string
  readonly startTimeout?: string
  readonly parallel?: number
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
