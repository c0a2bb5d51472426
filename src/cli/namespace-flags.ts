import type { Option } from 'commander'
import { checkName } from '../core/function.ts'
import { listFlag } from './command.ts'
import { readKeyValues } from './key-values.ts'
import type { WireNamespace } from './wire.ts'

export interface NamespaceFlags {
  readonly label?: readonly string[]
  readonly annotation?: readonly string[]
}

export function namespaceOptions(): Option[] {
  return [
    listFlag('-l, --label <key=value>', 'set a label'),
    listFlag('--annotation <key=value>', 'set an annotation'),
  ]
}

/** The namespace that arguments and flags say. BAD_NAME, BAD_USAGE for a broken KEY=VALUE. */
export function namespaceOf(name: string, flags: NamespaceFlags): WireNamespace {
  checkName(name, 'namespace')
  return {
    name,
    labels: readKeyValues(flags.label, '--label'),
    annotations: readKeyValues(flags.annotation, '--annotation'),
  }
}
