import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FILE = 'volume'

/** The volume of the engine that keeps what a data directory cannot; undefined where there is none. `folder`: of the server. */
export function keptVolume(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, FILE), 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/** Says that a volume is this data directory's: as long as the file stands, nobody clears the volume away. */
export function keepVolume(folder: string, volume: string): void {
  writeFileSync(join(folder, FILE), `${volume}\n`)
}
