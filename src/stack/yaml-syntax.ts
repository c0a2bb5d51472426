import type { YAMLParseError } from 'yaml'
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

/** An error of the YAML parser in our words. */
export function syntaxFault(error: YAMLParseError): Fault {
  const [start, end] = error.pos
  const accepted = ACCEPTED[error.code]
  return {
    place: { start, end },
    message: `not YAML: ${wording(error)}`,
    ...(accepted === undefined ? {} : { accepted }),
  }
}

function wording(error: YAMLParseError): string {
  if (error.code === 'RESOURCE_EXHAUSTION') return 'nested too deeply'
  if (error.code === 'MULTIPLE_DOCS') return 'a second document begins here'
  if (error.message.startsWith('Implicit map keys need')) return 'a key without a colon and a value'
  if (error.message === 'Nested mappings are not allowed in compact mappings')
    return 'a second ":" in one line'
  return error.message.charAt(0).toLowerCase() + error.message.slice(1).replace(/"quote$/, 'quote')
}
