import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { dataDirState, removeDataDir } from './data-lock.ts'

const NOTE_FILE = 'project.json'

/** Which project a data directory is for. */
interface ProjectNote {
  /** The stack file. Absolute. */
  readonly file: string
  readonly host: string
  /** Of the folder that the file is in. */
  readonly device: number
}

/** A data directory whose project was deleted. */
export interface ForsakenDataDir {
  readonly dataDir: string
  /** The folder that was deleted. */
  readonly project: string
}

/** Where the data directory of a stack file is, when nobody says otherwise. */
type UsualDirOf = (stackFile: string) => string

/** Writes down which stack file a data directory is for. One that says nothing of it is never taken for forsaken. */
export function noteProject(dataDir: string, stackFile: string): void {
  const file = join(dataDir, NOTE_FILE)
  try {
    const device = statSync(dirname(stackFile)).dev
    writeFileSync(file, JSON.stringify({ file: stackFile, host: hostname(), device }), { mode: 0o600 })
  } catch {
    // Only who cleans up would have read it.
  }
}

/** Of all data directories in `folder` those that nobody holds, and whose project was deleted. */
export function forsakenDataDirs(folder: string, usualDirOf: UsualDirOf): ForsakenDataDir[] {
  const found: ForsakenDataDir[] = []
  for (const name of foldersIn(folder)) {
    const dataDir = join(folder, name)
    const project = deletedProject(dataDir, usualDirOf)
    if (project !== undefined) found.push({ dataDir, project })
  }
  return found
}

/** Deletes a data directory that is forsaken still. */
export function removeForsaken(dataDir: string, usualDirOf: UsualDirOf): void {
  if (deletedProject(dataDir, usualDirOf) !== undefined) removeDataDir(dataDir)
}

/**
 * The folder of its project, if that was deleted. Not if somebody holds it, and not if that cannot be told: it may be on
 * another machine, or on a drive that is away. (Then the folder above is away too, or is on another drive.)
 */
function deletedProject(dataDir: string, usualDirOf: UsualDirOf): string | undefined {
  const note = readNote(dataDir)
  if (!note || note.host !== hostname() || usualDirOf(note.file) !== dataDir) return undefined
  const project = dirname(note.file)
  if (deviceOf(project) !== 'gone' || deviceOf(dirname(project)) !== note.device) return undefined
  return isHeld(dataDir) ? undefined : project
}

function readNote(dataDir: string): ProjectNote | undefined {
  try {
    const note = JSON.parse(readFileSync(join(dataDir, NOTE_FILE), 'utf8')) as Partial<ProjectNote> | null
    const { file, host, device } = note ?? {}
    if (typeof file !== 'string' || typeof host !== 'string' || typeof device !== 'number') return undefined
    return { file, host, device }
  } catch {
    return undefined
  }
}

function deviceOf(folder: string): number | 'gone' | 'unknown' {
  try {
    return statSync(folder).dev
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'gone' : 'unknown'
  }
}

function isHeld(dataDir: string): boolean {
  try {
    return dataDirState(dataDir) !== 'dead'
  } catch {
    return true
  }
}

function foldersIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  } catch {
    return []
  }
}
