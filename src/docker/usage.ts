import { setTimeout as wait } from 'node:timers/promises'
import { cgroupSample } from './cgroup.ts'
import type { UsageSample } from './cgroup.ts'
import type { Engine } from './client.ts'

/** Between the two looks that CPU is measured by, milliseconds: long enough for the kernel's counters, short for a person. */
const APART_MS = 150

/**
 * CPU and memory of several containers together, measured just now; gone ones count nothing. Takes about 0.2 s: from the
 * kernel's counters where the engine runs on this machine, else from the engine's. (Engines before 25 look only once a
 * second; there it takes that second.)
 */
export async function containersUsage(
  engine: Engine,
  ids: readonly string[],
): Promise<{ cpuMillis: number; memoryBytes: number }> {
  const used = await Promise.all(ids.map((id) => usageOf(engine, id)))
  const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0)
  return {
    cpuMillis: Math.round(sum(used.map(({ cpuMillis }) => cpuMillis))),
    memoryBytes: sum(used.map(({ memoryBytes }) => memoryBytes)),
  }
}

async function usageOf(engine: Engine, id: string): Promise<{ cpuMillis: number; memoryBytes: number }> {
  const look = await lookingAt(engine, id)
  const before = await look()
  await wait(APART_MS)
  const now = await look()
  const passed = (now?.atNanos ?? 0) - (before?.atNanos ?? 0)
  if (!now || !before || passed <= 0) return { cpuMillis: 0, memoryBytes: now?.memoryBytes ?? 0 }
  return {
    cpuMillis: Math.max(0, ((now.cpuNanos - before.cpuNanos) / passed) * 1000),
    memoryBytes: now.memoryBytes,
  }
}

/** The quickest way of looking at a container that works. */
async function lookingAt(engine: Engine, id: string): Promise<() => Promise<UsageSample | undefined>> {
  const pid = await engine
    .getContainer(id)
    .inspect()
    .then(({ State }) => State.Pid)
    .catch(() => 0)
  if (pid === 0) return () => Promise.resolve(undefined)
  if (await cgroupSample(id, pid)) return () => cgroupSample(id, pid)
  return () => engineSample(engine, id)
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
