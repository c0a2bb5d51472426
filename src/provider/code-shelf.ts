import type { Code, CodeFile } from '../core/code.ts'
import type { CodeChange, CodeOverlay, ReadFile } from './code-change.ts'

/** A runtime takes 64 MiB of JSON at most (docs/runtime.md); base64 makes four bytes of three. */
const LARGEST_CHANGE_BYTES = 47 * 2 ** 20

/** The codes that replicas of one function run, or shall run, and what makes one of the other. */
export class CodeShelf {
  readonly #codes = new Map<string, Code>()
  /** Made once for all replicas that need the same one. */
  readonly #changes = new Map<string, Promise<CodeChange | undefined>>()

  know(code: Code): void {
    this.#codes.set(code.hash, code)
  }

  code(hash: string | undefined): Code | undefined {
    return hash === undefined ? undefined : this.#codes.get(hash)
  }

  /**
   * What makes `to` of the code called `from`; everything, where it is not known what that was. Undefined when it is more
   * than a runtime takes. FILE_NOT_READABLE.
   */
  change(from: string | undefined, to: Code, signal: AbortSignal): Promise<CodeChange | undefined> {
    const key = `${from ?? ''} ${to.hash}`
    let change = this.#changes.get(key)
    if (!change) {
      change = this.#makeChange(from, to, signal)
      this.#changes.set(key, change)
      // What failed may succeed the next time.
      change.catch(() => this.#changes.delete(key))
    }
    return change
  }

  async #makeChange(
    from: string | undefined,
    to: Code,
    signal: AbortSignal,
  ): Promise<CodeChange | undefined> {
    const before = this.code(from)
    const changed = differing(before, to)
    if (changed.reduce((sum, [, { size }]) => sum + size, 0) > LARGEST_CHANGE_BYTES) return undefined
    return {
      hash: to.hash,
      from: before?.hash ?? null,
      files: await readAll(changed, signal),
      deleted: [...(before?.files.keys() ?? [])].filter((path) => !to.files.has(path)),
    }
  }

  /** What is to be put over an image with the code called `inImage`. FILE_NOT_READABLE. */
  async overlay(code: Code, inImage: string, signal: AbortSignal): Promise<CodeOverlay> {
    const { hash, folder } = code
    return { hash, folder, files: await readAll(differing(this.code(inImage), code), signal) }
  }

  /** Forgets all codes but these. */
  keepOnly(hashes: ReadonlySet<string | undefined>): void {
    this.#changes.clear()
    for (const hash of this.#codes.keys()) if (!hashes.has(hash)) this.#codes.delete(hash)
  }
}

type NamedFile = readonly [path: string, file: CodeFile]

function differing(before: Code | undefined, after: Code): readonly NamedFile[] {
  return [...after.files].filter(([path, { hash, mode }]) => {
    const old = before?.files.get(path)
    return old?.hash !== hash || old.mode !== mode
  })
}

async function readAll(
  files: readonly NamedFile[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ReadFile>> {
  const read = new Map<string, ReadFile>()
  // One after the other: a checkout may have changed thousands.
  for (const [path, file] of files) read.set(path, { content: await file.read(signal), mode: file.mode })
  return read
}
