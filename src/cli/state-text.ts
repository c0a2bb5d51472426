import type { Colors } from 'picocolors/types.js'
import { stateOf } from './wire.ts'
import type { WireFunction } from './wire.ts'

/** The state of a function in its colour. `failing` says what still answers. */
export function stateText(fn: WireFunction, colors: Colors): string {
  const state = stateOf(fn)
  switch (state) {
    case 'ready':
      return colors.green('ready')
    case 'idle':
      return colors.dim('idle')
    case 'deploying':
      return colors.yellow('deploying')
    case 'failing':
      return colors.red((fn.availableReplicas ?? 0) > 0 ? 'failing, last good version answers' : 'failing')
  }
}
