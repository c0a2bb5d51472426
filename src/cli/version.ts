import { readFileSync } from 'node:fs'

/** The release of this package. The path is the same from `src/cli` and from `dist/cli`. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version
