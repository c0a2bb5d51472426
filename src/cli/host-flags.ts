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
}

export function hostOptions(): Option[] {
  return [
    numberFlag('-p, --port <port>', 'port of the gateway; 0 takes any that is free (default: 8080)'),
    flag(
      '--host <address>',
      'address to listen on (default: 127.0.0.1; anything else is open to your network)',
    ),
    flag('--data <folder>', 'where functions and secrets are kept'),
    engineOption(),
  ]
}
