import { cp, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SAMPLES = fileURLToPath(new URL('../../samples', import.meta.url))

/** A folder for one test file: projects and data folders are made below it. */
export async function makeScratch(): Promise<{ path: string } & AsyncDisposable> {
  // The real path: it is what the program calls its folders.
  const path = await realpath(await mkdtemp(join(tmpdir(), 'faasdock-e2e-')))
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
  }
}

/** A copy of a sample to edit, without what somebody may have installed in the original. */
export async function copySample(name: string, scratch: string): Promise<string> {
  const folder = join(scratch, name)
  const filter = (source: string): boolean => !['node_modules', 'build'].includes(basename(source))
  await cp(join(SAMPLES, name), folder, { recursive: true, filter })
  return folder
}

/** Changes a file as an editor does; throws where there is nothing to change. Gives what it was before. */
export async function edit(
  file: string,
  from: string | RegExp,
  to: string | ((found: string) => string),
): Promise<string> {
  const before = await readFile(file, 'utf8')
  const after = before.replace(from, typeof to === 'string' ? () => to : to)
  if (after === before) throw new Error(`nothing in ${file} is ${String(from)}`)
  await writeFile(file, after)
  return before
}

/** A word that no other run has: for tags of images and contents that must not be known to the engine. */
export function uniqueWord(): string {
  return `e2e${process.pid.toString(36)}${Date.now().toString(36)}`
}
