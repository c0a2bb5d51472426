import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** A file's content, or its content and mode. */
export type FileSketch = string | { readonly content: string; readonly mode: number }

export interface TestFolder extends AsyncDisposable {
  readonly path: string
  /** Writes files below the folder; folders are made as needed. */
  write(files: Readonly<Record<string, FileSketch>>): Promise<void>
}

/** A folder of its own for one test, gone afterwards. */
export async function makeFolder(files: Readonly<Record<string, FileSketch>> = {}): Promise<TestFolder> {
  const path = await mkdtemp(join(tmpdir(), 'faasdock-test-'))
  const write: TestFolder['write'] = async (more) => {
    for (const [name, sketch] of Object.entries(more)) {
      const file = join(path, name)
      await mkdir(dirname(file), { recursive: true, mode: 0o755 })
      const { content, mode } = typeof sketch === 'string' ? { content: sketch, mode: 0o644 } : sketch
      await writeFile(file, content)
      await chmod(file, mode)
    }
  }
  await write(files)
  return { path, write, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
