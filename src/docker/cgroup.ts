import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What a container has used so far. */
export interface UsageSample {
  readonly cpuNanos: number
  readonly memoryBytes: number
  /** When it was read, nanoseconds on any clock. */
  readonly atNanos: number
}

/** Where the kernel shows processes and control groups; tests bring their own. */
interface KernelFolders {
  readonly proc: string
  readonly cgroup: string
}

const KERNEL: KernelFolders = { proc: '/proc', cgroup: '/sys/fs/cgroup' }

/**
 * Reads a container's use from this kernel's own counters, in well under a millisecond: `pid` as the engine gives it.
 * Undefined where that says nothing: another machine or a VM (the process is another one), another system than Linux, or
 * a kernel that does not count. A reading is undefined once the container has ended.
 */
export async function cgroupReader(
  id: string,
  pid: number,
  { proc, cgroup }: KernelFolders = KERNEL,
): Promise<(() => Promise<UsageSample | undefined>) | undefined> {
  const groups = await textOf(join(proc, String(pid), 'cgroup'))
  // The engine's process ids are not ours unless that process is in a group of the container's name.
  if (pid <= 0 || groups?.includes(id) !== true) return undefined
  const lines = groups.trim().split('\n')
  const v2 = lines.find((line) => line.startsWith('0::'))?.slice('0::'.length)
  const isV1 = lines.some((line) => /^\d+:([^:]*,)?cpuacct(,[^:]*)?:/.test(line))
  if (!isV1 && v2 === undefined) return undefined
  const read = isV1 ? readerV1(cgroup, lines) : readerV2(join(cgroup, v2 ?? ''))
  const sample = async (): Promise<UsageSample | undefined> => {
    const reading = await read()
    return reading && { ...reading, atNanos: performance.now() * 1e6 }
  }
  return (await sample()) && sample
}

type Reader = () => Promise<Omit<UsageSample, 'atNanos'> | undefined>

function readerV2(folder: string): Reader {
  const [cpuFile, currentFile, statFile] = [
    join(folder, 'cpu.stat'),
    join(folder, 'memory.current'),
    join(folder, 'memory.stat'),
  ]
  return async () => {
    const [cpu, current, memory] = await Promise.all([textOf(cpuFile), textOf(currentFile), textOf(statFile)])
    const micros = numberIn(cpu, 'usage_usec')
    if (micros === undefined) return undefined
    return { cpuNanos: micros * 1000, memoryBytes: withoutCache(current, numberIn(memory, 'inactive_file')) }
  }
}

function readerV1(root: string, lines: readonly string[]): Reader {
  const folderOf = (controller: string): string => {
    const [, names = '', path = ''] =
      lines.map((line) => line.split(':')).find(([, found]) => found?.split(',').includes(controller)) ?? []
    return join(root, names, path)
  }
  const [cpuFile, currentFile, statFile] = [
    join(folderOf('cpuacct'), 'cpuacct.usage'),
    join(folderOf('memory'), 'memory.usage_in_bytes'),
    join(folderOf('memory'), 'memory.stat'),
  ]
  return async () => {
    const [cpu, current, memory] = await Promise.all([textOf(cpuFile), textOf(currentFile), textOf(statFile)])
    if (cpu === undefined) return undefined
    return {
      cpuNanos: Number(cpu),
      memoryBytes: withoutCache(current, numberIn(memory, 'total_inactive_file')),
    }
  }
}

/** Without the page cache that the kernel would give back: what `docker stats` shows. */
function withoutCache(current: string | undefined, inactiveFile = 0): number {
  return Math.max(0, Number(current ?? 0) - inactiveFile)
}

function numberIn(text: string | undefined, name: string): number | undefined {
  const line = text?.split('\n').find((candidate) => candidate.startsWith(`${name} `))
  return line === undefined ? undefined : Number(line.slice(name.length))
}

function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}
