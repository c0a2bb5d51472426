import type { Code, CodeFile } from '../core/code.ts'

/** Contents by hash. */
export type Contents = ReadonlyMap<string, Uint8Array>

/**
 * The same code with its contents in memory: it can be given to replicas whatever becomes of the files on disk. What
 * `known` has is not read again. FILE_NOT_READABLE when a file is no longer what the code says.
 */
export async function keepCode(
  code: Code,
  known: Contents,
  signal: AbortSignal,
): Promise<{ readonly code: Code; readonly contents: Contents }> {
  const contents = new Map<string, Uint8Array>()
  await Promise.all(
    [...code.files.values()].map(async (file) => {
      contents.set(file.hash, known.get(file.hash) ?? (await file.read(signal)))
    }),
  )
  const files = new Map<string, CodeFile>()
  for (const [path, file] of code.files) {
    const bytes = contents.get(file.hash) ?? new Uint8Array(0)
    const { hash, mode, size, source } = file
    files.set(path, { hash, mode, size, source, read: () => Promise.resolve(bytes) })
  }
  const { hash, way, folder } = code
  return { code: { hash, way, folder, files }, contents }
}
