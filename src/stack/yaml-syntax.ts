import { isMap, isSeq, visit } from 'yaml'
import type { Document, YAMLParseError } from 'yaml'
import type { Place } from './source-map.ts'
import type { Fault } from './substitute.ts'

/** What is accepted where YAML's own message does not say it. */
const ACCEPTED: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'spaces, two for each level',
  BAD_INDENT:
    'the same indentation for all entries of a map or list, and more of it for what is inside an entry',
  BLOCK_AS_IMPLICIT_KEY: 'one "key: value" a line; quotes around a text that contains ": "',
  MULTILINE_IMPLICIT_KEY: '"key: value", with a space after the colon',
  BAD_SCALAR_START: 'quotes around a text that begins with one of @ ` % & * ! | > { [',
  BAD_DQ_ESCAPE: 'an escape such as \\n or \\\\ ; single quotes take a backslash as it is',
  MULTIPLE_DOCS: 'one document: everything above a second "---"',
}

/** What is read of the parser's errors. */
type ParseError = Pick<YAMLParseError, 'code' | 'message' | 'pos'>

/** More errors than this are consequences of the first ones. */
const FAULTS_MAX = 5

/**
 * What is wrong with a text that is not YAML, first things first: of each line one error, of all no more than a reader
 * can use, and none behind a bracket that is never closed, because everything there is read as its inside.
 */
export function syntaxFaults(text: string, document: Document): Fault[] {
  const open = unclosedBracket(text, document)
  const real = document.errors.filter(({ pos }) => open === undefined || pos[0] < open.place.start)
  const first = firstOfEachLine(text, real).map((error) => syntaxFault(error, document))
  return [...first, ...(open === undefined ? [] : [open])].slice(0, FAULTS_MAX)
}

/** The parser reports consequences of one error in the same line too. */
function firstOfEachLine(text: string, errors: readonly ParseError[]): ParseError[] {
  const kept: ParseError[] = []
  for (const error of errors) {
    const before = kept.at(-1)
    if (!before || text.slice(before.pos[0], error.pos[0]).includes('\n')) kept.push(error)
  }
  return kept
}

/** The first `[` or `{` without its counterpart. The parser tells where it missed that, not where it was opened. */
function unclosedBracket(text: string, document: Document): Fault | undefined {
  if (!document.errors.some(({ message }) => /^(Expected )?flow (map|sequence)\b.* end with/i.test(message)))
    return undefined
  // What is inside of what was too deep was not read.
  if (document.errors.some(({ code }) => code === 'RESOURCE_EXHAUSTION')) return undefined
  let start: number | undefined
  const look = (node: unknown): void => {
    if (!(isMap(node) || isSeq(node)) || node.flow !== true || !node.range) return
    const [opened, end] = node.range
    const isClosed = end - opened > 1 && text[end - 1] === (text[opened] === '[' ? ']' : '}')
    if (!isClosed && (start === undefined || opened < start)) start = opened
  }
  visit(document, { Map: (_key, node) => look(node), Seq: (_key, node) => look(node) })
  if (start === undefined) return undefined
  const [opened, closing] = text[start] === '[' ? ['[', ']'] : ['{', '}']
  return {
    place: { start, end: start + 1 },
    message: `not YAML: this "${opened}" is never closed`,
    accepted: `"${closing}" behind its last entry, or no "${opened}" at all`,
  }
}

/** An error of the YAML parser in our words. `document` is what it made of the text. */
function syntaxFault(error: ParseError, document: Document): Fault {
  const [start, end] = error.pos
  const accepted = ACCEPTED[error.code]
  return {
    place: unclosedQuote(error, document) ?? { start, end },
    message: `not YAML: ${wording(error)}`,
    ...(accepted === undefined ? {} : { accepted }),
  }
}

/**
 * Where the quote stands that is never closed. The parser points at the end of what it swallowed, which may be the end
 * of the file; the mistake is where it begins.
 */
function unclosedQuote({ code, pos }: ParseError, document: Document): Place | undefined {
  if (code !== 'MISSING_CHAR') return undefined
  let found: Place | undefined
  visit(document, {
    Scalar(_key, { type, range }) {
      const isQuoted = type === 'QUOTE_DOUBLE' || type === 'QUOTE_SINGLE'
      if (isQuoted && range?.[1] === pos[0]) found = { start: range[0], end: range[0] + 1 }
    },
  })
  return found
}

function wording(error: ParseError): string {
  if (error.code === 'RESOURCE_EXHAUSTION') return 'nested too deeply'
  if (error.code === 'MULTIPLE_DOCS') return 'a second document begins here'
  if (error.message.startsWith('Implicit map keys need')) return 'a key without a colon and a value'
  if (error.message === 'Nested mappings are not allowed in compact mappings')
    return 'a second ":" in one line'
  return error.message.charAt(0).toLowerCase() + error.message.slice(1).replace(/["']quote$/, 'quote')
}
