import { join } from 'node:path'
import type { FunctionRef, FunctionSpec } from '../../src/core/function.ts'
import { silentLog } from '../../src/core/log.ts'
import { CodeBook } from '../../src/engine/code-book.ts'
import { Events } from '../../src/engine/events.ts'
import type { StampedEvent } from '../../src/engine/events.ts'
import { Functions } from '../../src/engine/functions.ts'
import { HoldGate } from '../../src/engine/hold-gate.ts'
import { InvocationCounts } from '../../src/engine/invocation-counts.ts'
import { Problems } from '../../src/engine/problems.ts'
import { Reconciler } from '../../src/engine/reconciler.ts'
import { Router } from '../../src/engine/router.ts'
import type { MemoryImage } from '../../src/provider/memory/memory-provider.ts'
import { MemoryProvider } from '../../src/provider/memory/memory-provider.ts'
import { openRegistry } from '../../src/registry/sqlite-registry.ts'
import type { SqliteRegistry } from '../../src/registry/sqlite-registry.ts'
import { FakeClock } from './fake-clock.ts'
import { makeFolder } from './folder.ts'
import { until } from './until.ts'

const MIGRATIONS = join(import.meta.dirname, '../../src/registry/migrations')

/** The engine over memory rooms: everything of the platform but its doors. */
export interface TestPlatform extends AsyncDisposable {
  readonly folder: string
  readonly clock: FakeClock
  /** The clock of the counters alone, whose timer is always set. */
  readonly countsClock: FakeClock
  readonly registry: SqliteRegistry
  readonly provider: MemoryProvider
  readonly events: Events
  /** Everything that was told since the start. */
  readonly told: readonly StampedEvent[]
  readonly problems: Problems
  readonly codes: CodeBook
  readonly gate: HoldGate
  readonly counts: InvocationCounts
  readonly reconciler: Reconciler
  readonly functions: Functions
  readonly router: Router
  /** Ids of replicas started so far. */
  readonly started: readonly string[]
  /** Ends the one replica that leases go to, as a crash would. */
  crash(ref: FunctionRef): Promise<void>
  /** Events of one type about one function. */
  of<T extends StampedEvent['type']>(type: T, ref?: FunctionRef): (StampedEvent & { type: T })[]
}

export interface PlatformSetting {
  /** Keeps its state when a second platform is made there. */
  readonly folder?: string
  readonly provider?: MemoryProvider
}

/** Images by name; each of them counts as there from the start. */
export async function makePlatform(
  images: Readonly<Record<string, MemoryImage>>,
  setting: PlatformSetting = {},
): Promise<TestPlatform> {
  const own = setting.folder === undefined ? await makeFolder() : undefined
  const folder = setting.folder ?? own?.path ?? ''
  const clock = new FakeClock()
  const registry = openRegistry(folder, MIGRATIONS)
  const provider = setting.provider ?? new MemoryProvider({ images, clock })
  const events = new Events(clock)
  const told: StampedEvent[] = []
  events.watch((event) => told.push(event))
  const problems = new Problems()
  const codes = new CodeBook()
  const gate = new HoldGate(clock, 2000)
  const log = silentLog
  const started: string[] = []
  const watch = provider.watch((event) => {
    if (event.type === 'replica-ready') started.push(event.replica)
  })
  const reconciler = new Reconciler({ registry, provider, events, problems, codes, clock, log })
  const countsClock = new FakeClock()
  const counts = new InvocationCounts(registry.functions, countsClock, log)
  let revisions = 0
  const functions = new Functions({
    registry,
    provider,
    reconciler,
    counts,
    events,
    problems,
    codes,
    clock,
    revisionId: () => `rev-${++revisions}`,
  })
  const router = new Router({ registry, provider, reconciler, functions, problems, gate })
  return {
    folder,
    clock,
    countsClock,
    registry,
    provider,
    events,
    told,
    problems,
    codes,
    gate,
    counts,
    reconciler,
    functions,
    router,
    started,
    crash: async (ref) => {
      const lease = provider.lease(ref)
      if (!lease) throw new Error(`no replica of ${ref.name} is ready`)
      lease[Symbol.dispose]()
      await provider.crash(lease.replica)
    },
    of: <T extends StampedEvent['type']>(type: T, ref?: FunctionRef) =>
      told.filter(
        (event): event is StampedEvent & { type: T } =>
          event.type === type && (!ref || ('ref' in event && event.ref.name === ref.name)),
      ),
    [Symbol.asyncDispose]: async () => {
      await reconciler[Symbol.asyncDispose]()
      watch[Symbol.dispose]()
      counts[Symbol.dispose]()
      gate[Symbol.dispose]()
      if (!setting.provider) await provider[Symbol.asyncDispose]()
      registry[Symbol.dispose]()
      await own?.[Symbol.asyncDispose]()
    },
  }
}

/** An image whose start a test steers: it waits until it is let through, or is told how to fail. */
export interface SteeredImage extends MemoryImage {
  /** How many replicas wait to get ready just now. */
  readonly waiting: number
  /** How many starts there were. */
  readonly starts: number
  /** `ok`: replicas are ready at once. An error: they fail with it. `wait`: until this changes. */
  be(mode: 'ok' | 'wait' | Error): void
}

export function steeredImage(mode: 'ok' | 'wait' | Error = 'ok'): SteeredImage {
  let current = mode
  let starts = 0
  const waiting = new Set<() => void>()
  return {
    get waiting() {
      return waiting.size
    },
    get starts() {
      return starts
    },
    be(next) {
      current = next
      for (const wake of [...waiting]) wake()
    },
    listener:
      ({ id }) =>
      (_request, response) =>
        void response.end(id),
    start: async (_revision, signal) => {
      starts++
      while (current === 'wait') {
        await new Promise<void>((resolve, reject) => {
          const abort = (): void => {
            waiting.delete(wake)
            reject(signal.reason as Error)
          }
          const wake = (): void => {
            waiting.delete(wake)
            signal.removeEventListener('abort', abort)
            resolve()
          }
          waiting.add(wake)
          signal.addEventListener('abort', abort, { once: true })
          if (signal.aborted) abort()
        })
      }
      if (current instanceof Error) throw current
    },
  }
}

/** A spec of a function in the default namespace. */
export function specOf(name: string, image: string, more: Partial<FunctionSpec> = {}): FunctionSpec {
  return { name, namespace: 'openfaas-fn', image, labels: {}, annotations: {}, ...more }
}

/** Polls, quickly, until it is so. */
export async function soon(look: () => boolean | undefined, what = 'it'): Promise<void> {
  await until(() => look(), { limitMs: 5000, everyMs: 2, what: () => what })
}
