import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** What tells one running program from another that got its number later. */
export interface ProcessIdentity {
  readonly pid: number
  /** When it began, as the system writes it; only compared. */
  readonly startedAt: string
  /** Its command line. */
  readonly command: string
}

/** Who has that number now; undefined when nobody has, or it cannot be told. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    if (process.platform === 'linux') return fromProc(pid)
    const text = execFileSync('ps', ['-o', 'lstart=,command=', '-p', String(pid)], {
      encoding: 'utf8',
    }).trim()
    // `Mon Nov 23 03:36:06 2026 nats-server -c …`
    return text === '' ? undefined : { pid, startedAt: text.slice(0, 24), command: text.slice(24).trim() }
  } catch {
    return undefined
  }
}

/** Whether that very program still runs. */
export function stillRuns({ pid, startedAt, command }: ProcessIdentity): boolean {
  const now = identify(pid)
  return now !== undefined && now.startedAt === startedAt && now.command === command
}

function fromProc(pid: number): ProcessIdentity | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name, in parentheses, may hold anything: what follows is counted from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie has ended; only its parent has not looked yet.
  if (fields[0] === 'Z') return undefined
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
  return { pid, startedAt: fields[19] ?? '', command }
}
