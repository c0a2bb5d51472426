import type { Option } from 'commander'
import { flag } from './command.ts'
import type { DeployWish } from './deploy-functions.ts'
import type { ReadTemplateFlags } from './read-template.ts'
import { refuseTogether, specOptions } from './spec-flags.ts'
import type { SpecFlags } from './spec-flags.ts'
import { parseDuration } from './time-words.ts'

export interface DeployFlags extends SpecFlags, ReadTemplateFlags {
  readonly update?: boolean
  readonly replace?: boolean
  readonly wait?: boolean
  readonly timeout?: string
}

export function deployOptions(): Option[] {
  return [
    flag('--update', 'change a function that is there without a gap (default: true)'),
    flag('--no-update').hideHelp(),
    flag('--replace', 'remove a function that is there, then deploy it'),
    flag('--wait', 'wait until the functions answer (default: true; --wait=false does not)'),
    flag('--no-wait').hideHelp(),
    flag('--timeout <duration>', 'how long to wait for each function (default: 2m)'),
    ...specOptions(),
    // Swarm's, years ago (contract 1.3).
    flag('--network <name>').hideHelp(),
  ]
}

/** BAD_USAGE for `--update --replace` and for a timeout that is none. */
export function deployWish(flags: DeployFlags): DeployWish {
  refuseTogether({ '--update': flags.update, '--replace': flags.replace })
  const how = flags.replace ? 'replace' : flags.update === false ? 'create' : 'update'
  return { how, wait: flags.wait !== false, limit: parseDuration(flags.timeout ?? '2m', '--timeout') }
}
