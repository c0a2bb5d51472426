import { createHash } from 'node:crypto'
import type { Code, CodeFile, RevisionCode } from '../../src/core/code.ts'

/** Text of each file, by path. */
export type Texts = Readonly<Record<string, string>>

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** Code of these files, as a builder finds it, below `/source` on a developer's machine. */
export function makeCode(texts: Texts, { way, folder }: Pick<Code, 'way' | 'folder'>): Code {
  const files = new Map<string, CodeFile>()
  for (const [path, text] of Object.entries(texts)) {
    const content = Buffer.from(text)
    const read = (signal: AbortSignal): Promise<Uint8Array> => {
      signal.throwIfAborted()
      return Promise.resolve(content)
    }
    files.set(path, {
      hash: sha256(text),
      mode: 0o644,
      size: content.length,
      source: `/source/${path}`,
      read,
    })
  }
  const hash = sha256(JSON.stringify(Object.entries(texts).sort()))
  return { hash, way, folder, files }
}

/** Code for replicas of an image with the code `inImage`. */
export function revisionCode(wanted: Code, inImage: Code): RevisionCode {
  return { wanted, inImage: inImage.hash }
}
