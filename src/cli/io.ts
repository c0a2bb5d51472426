import type { Readable, Writable } from 'node:stream'
import type { Rooms } from './rooms-contract.ts'

/** Everything of the outside that a command may touch, so that a test can run the whole CLI in its own process. */
export interface Io {
  readonly stdin: Input
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Calls `onSignal` for Ctrl-C, a polite kill, and a closed terminal. */
  onSignal(onSignal: (signal: StopSignal) => void): Disposable
  /** Ends the program at once: the second Ctrl-C. */
  exit(code: number): void
  /** Stands in for the rooms that local operations need (tests). */
  readonly rooms?: Partial<Rooms>
}

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

export type Output = Writable & {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}
type Input = Readable & { readonly isTTY?: boolean; setRawMode?(on: boolean): unknown }

/** Why an operation was aborted: somebody stopped the command. */
export class Interrupted extends Error {
  readonly signal: StopSignal

  constructor(signal: StopSignal) {
    super(`stopped by ${signal}`)
    this.name = 'Interrupted'
    this.signal = signal
  }
}
