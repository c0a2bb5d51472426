import type { FunctionRef } from './function.ts'

/** What a debugger has to speak: the inspector's protocol (`node`), or the Debug Adapter Protocol (`python`). */
export type DebugLanguage = 'node' | 'python'

/** What of a function can be debugged. */
export interface DebugTarget {
  readonly language: DebugLanguage
  /** Where its sources are in the image, absolute, with `/`. */
  readonly folder: string
  /** What the function has to be given first, for people: nothing can open a debugger in it while it runs. */
  readonly lacks?: string
}

/** Bytes both ways between a debugger and a replica, until it is disposed. */
export interface DebugConnection extends Disposable {
  readonly stream: NodeJS.ReadWriteStream
}

/** A debugger that has connected to one of our ports. */
export interface DebugClient extends DebugConnection {
  /** Aborted when it is gone. */
  readonly gone: AbortSignal
}

/** Ports of this machine's loopback that debuggers connect to. */
export interface DebugDoors {
  /** PORT_TAKEN. Disposing it closes the port and every connection that came in by it. */
  open(port: number, onClient: (client: DebugClient) => void): Promise<AsyncDisposable>
}

/** A function that debuggers may connect to, or once might: its port stays its own. */
export interface DebugEntry {
  readonly ref: FunctionRef
  readonly port: number
  readonly isOn: boolean
}

/** Remembers ports from run to run. */
export interface DebugBook {
  all(): readonly DebugEntry[]
  put(entry: DebugEntry): void
}
