import type { Problem } from '../core/function.ts'

/**
 * Whether two failures are one that happened again. Times, process ids and addresses in what a function wrote differ
 * from start to start, and so may the order of its two outputs.
 */
export function isSameFailure(a: Problem, b: Problem): boolean {
  return a.code === b.code && gist(a.message) === gist(b.message)
}

function gist(message: string): string {
  return message.split('\n').map(lineGist).sort().join('\n')
}

/** A line without what is by chance in it. */
export function lineGist(line: string): string {
  return line
    .trim()
    .replace(/\b(0x[0-9a-f]+|(?=[0-9a-f]*\d)[0-9a-f]{6,})\b/gi, '#')
    .replace(/\d+/g, '#')
}
