import { setTimeout as wait } from 'node:timers/promises'
import { cgroupReader } from './cgroup.ts'
import type { UsageSample } from './cgroup.ts'
import type { Engine } from './client.ts'

/** Between two looks that CPU is measured by, milliseconds: long enough for the kernel's counters, short for a person. */
const APART_MS = 150
/** How long ago the use that is told of may have begun, milliseconds: what was an hour ago says nothing of now. */
const WINDOW_MS = 60_000
/** Until an engine that looks once a second has looked again. */
const MAX_LOOKS = 10

interface Look {
  readonly isCheap: boolean
  sample(): Promise<UsageSample | undefined>
}
interface Used {
  readonly cpuMillis: number
  readonly memoryBytes: number
}
/** What was last found out about a container. */
interface Known {
  readonly look: Look
  readonly sample: UsageSample
  /** Absent until somebody asked. */
  readonly used?: Used
  readonly atMs: number
}

/**
 * Measures the CPU and memory that containers use. CPU is that since somebody asked, or since it was looked last, which is
 * done once a minute where it costs next to nothing: nobody waits for a second look. Elsewhere the first answer takes about
 * 0.2 s. (Engines before 25, on another machine, look only once a second; there it takes that second.)
 */
export class UsageMeter implements Disposable {
  readonly #engine: Engine
  readonly #known = new Map<string, Known>()
  readonly #timer: NodeJS.Timeout

  constructor(engine: Engine) {
    this.#engine = engine
    this.#timer = setInterval(() => this.#refresh(), WINDOW_MS).unref()
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }

  #refresh(): void {
    const old = performance.now() - WINDOW_MS / 2
    for (const [id, { atMs, look }] of this.#known)
      if (atMs > old) continue
      else if (look.isCheap) this.#measureOne(id).catch(() => undefined)
      else this.#known.delete(id)
  }

  /** A container runs, and somebody may ask. */
  begin(id: string): void {
    // Whoever asks looks again.
    this.#firstLook(id).catch(() => undefined)
  }

  async #firstLook(id: string): Promise<void> {
    const look = await lookingAt(this.#engine, id)
    const sample = await look.sample()
    if (sample && look.isCheap && !this.#known.has(id))
      this.#known.set(id, { look, sample, atMs: performance.now() })
  }

  /** A container is gone. */
  forget(id: string): void {
    this.#known.delete(id)
  }

  /** Several containers together; gone ones count nothing. */
  async measure(ids: readonly string[]): Promise<Used> {
    const used = await Promise.all(ids.map((id) => this.#measureOne(id)))
    const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0)
    return {
      cpuMillis: Math.round(sum(used.map(({ cpuMillis }) => cpuMillis))),
      memoryBytes: sum(used.map(({ memoryBytes }) => memoryBytes)),
    }
  }

  async #measureOne(id: string): Promise<Used> {
    const known = this.#known.get(id)
    if (known?.used && performance.now() - known.atMs < APART_MS) return known.used
    const look = known?.look ?? (await lookingAt(this.#engine, id))
    const before = known?.sample ?? (await look.sample())
    const now = known ? await look.sample() : await nextLook(look, before)
    if (!now || !before) {
      this.#known.delete(id)
      return { cpuMillis: 0, memoryBytes: now?.memoryBytes ?? 0 }
    }
    // An engine that has not looked again since has nothing new to say.
    const passed = now.atNanos - before.atNanos
    const cpuMillis =
      passed > 0
        ? Math.max(0, ((now.cpuNanos - before.cpuNanos) / passed) * 1000)
        : (known?.used?.cpuMillis ?? 0)
    const used = { cpuMillis, memoryBytes: now.memoryBytes }
    this.#known.set(id, { look, sample: passed > 0 ? now : before, used, atMs: performance.now() })
    return used
  }
}

/** A look that sees something new, or the last of a few that did not. */
async function nextLook(look: Look, before: UsageSample | undefined): Promise<UsageSample | undefined> {
  for (let tries = 1; ; tries++) {
    await wait(APART_MS)
    const now = await look.sample()
    if (!now || now.atNanos !== before?.atNanos || tries === MAX_LOOKS) return now
  }
}

/** The quickest way of looking at a container that works. */
async function lookingAt(engine: Engine, id: string): Promise<Look> {
  const pid = await engine
    .getContainer(id)
    .inspect()
    .then(({ State }) => State.Pid)
    .catch(() => 0)
  if (pid === 0) return { isCheap: false, sample: () => Promise.resolve(undefined) }
  const sample = await cgroupReader(id, pid)
  if (sample) return { isCheap: true, sample }
  return { isCheap: false, sample: () => engineSample(engine, id) }
}

/** What of the engine's answer is read; on a container that just ended, any of it may be missing. */
interface Stats {
  readonly read?: string
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } }
  readonly memory_stats?: {
    readonly usage?: number
    readonly stats?: { readonly inactive_file?: number; readonly total_inactive_file?: number }
  }
}

async function engineSample(engine: Engine, id: string): Promise<UsageSample | undefined> {
  try {
    const stats = (await engine.getContainer(id).stats({ stream: false, 'one-shot': true })) as Stats
    const { read, cpu_stats: cpu, memory_stats: memory } = stats
    return {
      cpuNanos: cpu?.cpu_usage?.total_usage ?? 0,
      memoryBytes: Math.max(
        0,
        (memory?.usage ?? 0) - (memory?.stats?.total_inactive_file ?? memory?.stats?.inactive_file ?? 0),
      ),
      atNanos: Date.parse(read ?? '') * 1e6,
    }
  } catch {
    return undefined
  }
}
