import { FaasError } from '../core/errors.ts'
import type { FunctionRef } from '../core/function.ts'
import { formatRef } from '../core/function.ts'

export function noDebugger(ref: FunctionRef): FaasError {
  return new FaasError('DEBUGGER_UNAVAILABLE', {
    message: `${formatRef(ref)} is neither a Node nor a Python function, as far as its image says`,
    remedy: 'docs/debug.md lists what can be debugged, and how.',
  })
}

export function notReady(ref: FunctionRef): FaasError {
  return new FaasError('FUNCTION_NOT_READY', {
    message: `${formatRef(ref)} has no replica that a debugger could be connected to`,
    remedy: 'See `faasdock describe` for why, and connect again.',
  })
}
