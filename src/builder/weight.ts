import type { ContextEntry } from './tree.ts'

/** Folders that are made for the developer's machine and wrong, or useless, in an image (pitfall 10). */
const SUSPICIOUS: ReadonlySet<string> = new Set(['node_modules', '.venv', '.git'])
/** A context above this makes every build slow. */
const HEAVY_BYTES = 100 * 2 ** 20

/** One line for each kind of folder that should rather not go into an image, and one when all of it is heavy. */
export function weightWarnings(entries: readonly ContextEntry[], handler: string): readonly string[] {
  const folders = new Map<string, { name: string; bytes: number }>()
  let total = 0
  for (const entry of entries) {
    const bytes = sizeOf(entry)
    total += bytes
    const parts = entry.path.split('/')
    const depth = parts.findIndex((part) => SUSPICIOUS.has(part))
    // A *file* called .git is a submodule's or worktree's pointer: weightless.
    if (depth < 0 || (depth === parts.length - 1 && entry.kind !== 'folder')) continue
    const path = parts.slice(0, depth + 1).join('/')
    const folder = folders.get(path) ?? { name: parts[depth] ?? '', bytes: 0 }
    folders.set(path, { ...folder, bytes: folder.bytes + bytes })
  }
  const heavy = [...folders].map(
    ([path, { name, bytes }]) =>
      `${path} (${megabytes(bytes)}) goes into the image; to leave it out add "**/${name}" to ${handler}/.dockerignore`,
  )
  if (total <= HEAVY_BYTES) return heavy
  return [
    ...heavy,
    `handler and copies weigh ${megabytes(total)}; name what the function does not need in ${handler}/.dockerignore`,
  ]
}

function sizeOf(entry: ContextEntry): number {
  if (entry.kind === 'file') return entry.stamp.size
  return entry.kind === 'text' ? entry.content.length : 0
}

function megabytes(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 1024)} kB` : `${Math.round(bytes / 2 ** 20)} MB`
}
