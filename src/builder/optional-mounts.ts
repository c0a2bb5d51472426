import { endOfHereDocuments } from './dockerfile.ts'

/** Mounts that only make a build faster or lend it something; BuildKit runs a step without them unless `required`. */
const OPTIONAL_TYPES: ReadonlySet<string> = new Set(['cache', 'secret', 'ssh'])

/**
 * The Dockerfile for a builder that knows no mounts: `--mount=type=cache|secret|ssh` goes from RUN lines, unless it
 * says `required`, so that one Dockerfile serves BuildKit and the classic builder. Bind and tmpfs mounts stay, because
 * a step cannot do without them: the engine then says that they need BuildKit. Here-documents are left alone, and
 * every line keeps its number.
 */
export function dropOptionalMounts(dockerfile: string): string {
  const escape = /^#\s*escape\s*=\s*`/im.test(dockerfile) ? '`' : '\\'
  const lines = dockerfile.split('\n')
  const written: string[] = []
  for (let at = 0; at < lines.length;) {
    const end = endOfInstruction(lines, at, escape)
    const instruction = lines.slice(at, end).join('\n')
    const body = endOfHereDocuments(lines, end, instruction)
    written.push(withoutMounts(instruction, escape), ...lines.slice(end, body))
    at = body
  }
  return written.join('\n')
}

/** The line after the instruction that begins at `start`; blank and comment lines between continued ones belong to it. */
function endOfInstruction(lines: readonly string[], start: number, escape: string): number {
  if (isAside(lines[start] ?? '')) return start + 1
  let at = start
  while (at < lines.length && (isAside(lines[at] ?? '') || (lines[at] ?? '').trimEnd().endsWith(escape))) at++
  return Math.min(at + 1, lines.length)
}

function isAside(line: string): boolean {
  return /^\s*(#|$)/.test(line)
}

function withoutMounts(instruction: string, escape: string): string {
  const keyword = /^\s*(?:ONBUILD\s+)?RUN(?=\s)/i.exec(instruction)
  if (!keyword) return instruction
  const continued = escape === '`' ? '`' : '\\\\'
  // Between flags may be spaces, ends of continued lines, and whole lines of comment.
  const gap = new RegExp(`(?:[ \\t]|${continued}[ \\t]*\\r?\\n(?:[ \\t]*(?:#[^\\n]*)?\\r?\\n)*)*`, 'y')
  const flag = /--[a-z]+(?:=(?:"[^"\n]*"|'[^'\n]*'|[^\s"'])*)?(?=\s|$)[ \t]*/y
  let kept = instruction.slice(0, keyword[0].length)
  let at = keyword[0].length
  for (;;) {
    const space = matchAt(gap, instruction, at)
    const text = matchAt(flag, instruction, at + space.length)
    if (text === '') return kept + instruction.slice(at)
    kept += space + (isOptionalMount(text.trimEnd()) ? '' : text)
    at += space.length + text.length
  }
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? ''
}

function isOptionalMount(flag: string): boolean {
  const fields = /^--mount=(.*)$/s.exec(flag.replace(/["']/g, ''))?.[1]?.split(',') ?? []
  const type = fields.find((field) => /^type=/i.test(field))?.slice('type='.length)
  return (
    OPTIONAL_TYPES.has(type?.toLowerCase() ?? '') &&
    !fields.some((field) => /^required(=(true|1))?$/i.test(field))
  )
}
