import type { Fingerprint } from '../core/builder.ts'
import type { Code } from '../core/code.ts'

/**
 * What brought a function to what was saved: new code into running processes, new replicas of the present image with
 * the code put in, a build, or new replicas of the present image with another spec.
 */
export type Rung = 'swap' | 'files' | 'build' | 'spec'

/** An image that is there, and what is known of what is in it. */
export interface BuiltImage {
  readonly imageId: string
  readonly content: string
  readonly frame: string
  /** What its function was said to be made of: other paths, arguments or names are another image. */
  readonly madeOf: string
  /** Absent where it cannot be changed without a build, or is not known. */
  readonly code?: Code
}

/** More than this is neither kept in memory nor sent to replicas, bytes: it takes a build. */
export const MAX_CODE_BYTES = 16 * 2 ** 20

/** Whether replicas of `image`, with new code put in if need be, are what `wanted` describes. */
export function isEnough(image: BuiltImage | undefined, wanted: Fingerprint, madeOf: string): boolean {
  if (image?.madeOf !== madeOf) return false
  if (image.content === wanted.content) return true
  if (image.frame !== wanted.frame || !wanted.code || image.code?.way !== wanted.code.way) return false
  if (bytesOf(wanted.code) > MAX_CODE_BYTES) return false
  // What is put into a replica before it starts cannot take away what its image has.
  return wanted.code.way === 'swap' || isAllOf(image.code, wanted.code)
}

function bytesOf({ files }: Code): number {
  let bytes = 0
  for (const { size } of files.values()) bytes += size
  return bytes
}

function isAllOf(before: Code, after: Code): boolean {
  return [...before.files.keys()].every((path) => after.files.has(path))
}
