import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'

const signals = new WeakMap<Socket, AbortSignal>()

/** Aborted when the caller's connection is closed. One for all calls of a connection: they are gone together. */
export function goneSignal(socket: Socket): AbortSignal {
  const known = signals.get(socket)
  if (known) return known
  const gone = new AbortController()
  const abort = (): void => gone.abort(new Error('the caller went away'))
  // A caller that pipelines has many calls under way at once.
  setMaxListeners(0, gone.signal)
  if (socket.destroyed) abort()
  else socket.once('close', abort)
  signals.set(socket, gone.signal)
  return gone.signal
}
