import type { Code, RevisionCode } from '../core/code.ts'
import { FaasError } from '../core/errors.ts'
import type { Revision } from '../core/function.ts'
import type { CodeChange, LoadFailure, LoadOutcome } from './code-change.ts'
import type { CodeShelf } from './code-shelf.ts'
import type { Replica, ReplicaHost } from './replica.ts'

/** A revision whose replicas shall run certain code. */
export type CodedRevision = Revision & { readonly code: RevisionCode }

export interface CodeLoaderOptions {
  readonly host: ReplicaHost
  readonly shelf: CodeShelf
  /** A replica loads and says nothing to anybody. */
  readonly onSilent: (replica: Replica) => void
  /** It will say nothing any more. */
  readonly onHung: (replica: Replica) => void
}

/** Whether a replica took new code; `cannot` and `lost`: another one has to. */
export type Taken =
  | { readonly type: 'runs' }
  | { readonly type: 'cannot'; readonly reason: string }
  /** It ended, or may have. */
  | { readonly type: 'lost'; readonly reason: string }

/** A change, and everything instead of it where the replica runs something else; and once more for a replica that lies. */
const MAX_TRIES = 3

/** Gives code to replicas that run, and keeps book of what each of them runs. */
export class CodeLoader {
  readonly #options: CodeLoaderOptions

  constructor(options: CodeLoaderOptions) {
    this.#options = options
  }

  /**
   * Finds out what a replica runs where that is open: it still loads what somebody gave it who did not wait, or an earlier
   * run started it.
   */
  async settle(replica: Replica, revision: CodedRevision, signal: AbortSignal): Promise<void> {
    if (replica.loading) await orAborted(replica.loading, signal)
    if (replica.code !== undefined || replica.isSilent) return
    const hash = await orAborted(this.#options.host.codeOf(replica.started, revision), signal)
    replica.code = hash
  }

  /**
   * Makes a replica that runs go on with the revision's code. CODE_NOT_LOADED: it goes on with what it ran before, or, if
   * it hangs, has ended. FILE_NOT_READABLE. When `signal` aborts, what was begun ends behind the caller's back.
   */
  async take(replica: Replica, revision: CodedRevision, signal: AbortSignal): Promise<Taken> {
    const { host, shelf } = this.#options
    const { wanted } = revision.code
    if (replica.isSilent) return { type: 'cannot', reason: 'it is busy' }
    if (replica.started.began?.swaps !== true)
      return { type: 'cannot', reason: 'it cannot be given code while it runs' }
    // Who does not know us would be called with our code as its body.
    if (replica.code === undefined) return { type: 'cannot', reason: 'it does not say what it runs' }
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const change = await shelf.change(replica.code, wanted, signal)
      signal.throwIfAborted()
      if (!change) return { type: 'cannot', reason: 'the code is too large' }
      const outcome = await orAborted(this.#load(replica, change), signal)
      switch (outcome.type) {
        case 'loaded':
          return { type: 'runs' }
        case 'elsewhere':
          if (outcome.hash === wanted.hash) return { type: 'runs' }
          break
        case 'failed':
          throw codeNotLoaded(wanted, outcome.failure)
        case 'refused':
          return { type: 'cannot', reason: outcome.reason }
        case 'lost':
          replica.code = await host.codeOf(replica.started, revision)
          if (replica.code === wanted.hash) return { type: 'runs' }
          return { type: replica.code === undefined ? 'lost' : 'cannot', reason: outcome.reason }
        case 'silent':
          throw codeHangs(outcome.reason)
      }
    }
    return { type: 'cannot', reason: 'what it says that it runs changes by itself' }
  }

  #load(replica: Replica, change: CodeChange): Promise<LoadOutcome> {
    const { host, onSilent } = this.#options
    let hush = (): void => undefined
    const silent = new Promise<void>((resolve) => (hush = resolve))
    const outcome = host
      .load(replica.started, change, {
        isHeld: () => replica.isDebugged,
        onSilent: () => {
          replica.isSilent = true
          hush()
          onSilent(replica)
        },
      })
      .then((found) => this.#noted(replica, change, found))
    const loading = Promise.race([outcome, silent]).finally(() => {
      if (replica.loading === loading) replica.loading = undefined
    })
    replica.loading = loading
    return outcome
  }

  #noted(replica: Replica, change: CodeChange, outcome: LoadOutcome): LoadOutcome {
    if (outcome.type === 'silent') {
      replica.code = undefined
      replica.isSilent = true
      this.#options.onHung(replica)
      return outcome
    }
    replica.isSilent = false
    if (outcome.type === 'loaded') replica.code = change.hash
    if (outcome.type === 'elsewhere') replica.code = outcome.hash === change.hash ? change.hash : ''
    if (outcome.type === 'lost') replica.code = undefined
    return outcome
  }
}

/** Rejects with the signal's reason as soon as it aborts, whatever becomes of `work`. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function codeNotLoaded(code: Code, failure: LoadFailure): FaasError {
  const { message, file, line, column } = failure
  const source = file === undefined ? undefined : code.files.get(file)?.source
  const where = file === undefined ? 'it' : line === undefined ? file : `${file}, line ${line}`
  return new FaasError('CODE_NOT_LOADED', {
    message,
    remedy: `Correct ${where}, and save; until then the code before it answers.`,
    ...(source !== undefined && {
      place: {
        file: source,
        ...(line !== undefined && { line }),
        ...(line !== undefined && column !== undefined && { column }),
      },
    }),
  })
}

function codeHangs(reason: string): FaasError {
  return new FaasError('CODE_NOT_LOADED', {
    message: `the code does not finish loading: ${reason}`,
    remedy:
      'Look for a loop without an end, or one that waits, outside of all functions of the code; until then the code before it answers.',
  })
}

/** A replica that was to begin with the code did not get ready: its failure, told as one of the code. */
export function codeDoesNotStart(error: unknown): unknown {
  if (!(error instanceof FaasError)) return error
  if (error.code !== 'REPLICA_EXITED' && error.code !== 'REPLICA_NOT_READY') return error
  return new FaasError('CODE_NOT_LOADED', {
    message: `a replica with the new code did not start: ${error.message}`,
    remedy: 'See its last lines, correct the code, and save; until then the code before it answers.',
    cause: error,
  })
}
