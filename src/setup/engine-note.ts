import { readFileSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'

/** That faasdock started (and perhaps installed) the engine that runs, and how to stop it. */
export interface EngineNote {
  readonly installed: boolean
  readonly how: 'systemctl' | 'dockerd'
  /** Of a dockerd in the background. */
  readonly pid?: number
  readonly log?: string
}

/** Gone after a reboot, like the engine it speaks of. */
const NOTE_FILE = '/run/faasdock-engine.json'

/** Remembers for later runs that this engine is faasdock's doing. */
export async function writeEngineNote(note: EngineNote, file = NOTE_FILE): Promise<void> {
  await writeFile(file, `${JSON.stringify(note)}\n`)
}

/** The note about an engine that still runs; undefined when faasdock started none, or it is gone. */
export function readEngineNote(file = NOTE_FILE): EngineNote | undefined {
  try {
    const note = JSON.parse(readFileSync(file, 'utf8')) as EngineNote
    return note.pid === undefined || isDockerd(note.pid) ? note : undefined
  } catch {
    return undefined
  }
}

/**
 * What to say when a run that began at `since` (milliseconds since the epoch) ends and the engine stays; undefined when the
 * engine is not its doing, but that of an earlier run or of others. Synchronous, for exit handlers.
 */
export function engineFarewell(since: number, file = NOTE_FILE): string | undefined {
  const note = readEngineNote(file)
  if (!note || (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) < since) return undefined
  const verb = note.installed ? 'installed' : 'started'
  if (note.pid === undefined) {
    return `The Docker engine that faasdock ${verb} stays. Stop it with: systemctl stop docker`
  }
  return `The Docker engine that faasdock ${verb} stays (pid ${note.pid}, log ${note.log ?? 'none'}). Stop it with: kill ${note.pid}`
}

function isDockerd(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'dockerd'
  } catch {
    return false
  }
}
