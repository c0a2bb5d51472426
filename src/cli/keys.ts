/** What a key asks for. `name` absent: all functions. */
export type KeyAction =
  | { readonly type: 'help' | 'open' | 'debug' | 'errors' | 'clear' | 'quit' }
  | { readonly type: 'rebuild' | 'filter'; readonly name?: string }

/** Which question the next key answers. */
export type Picking = 'rebuild' | 'filter' | undefined

export const KEY_HELP: readonly (readonly [string, string])[] = [
  ['?', 'this help'],
  ['o', 'open the address in a browser'],
  ['r', 'rebuild a function, or all'],
  ['d', 'ports for debuggers, and what editors need to attach'],
  ['l', 'show logs of one function only, or of all'],
  ['e', 'errors only, on and off'],
  ['c', 'clear the screen'],
  ['q', 'quit (as Ctrl-C)'],
]

/** Keys that stand for functions in a question; `a` means all. */
const LABELS = '123456789bcdefghijklmnoprstuvwxyz'

/** What `key` means while `picking` is asked. Unknown keys end a question and do nothing else. */
export function pressKey(
  key: string,
  picking: Picking,
  names: readonly string[],
): { readonly picking: Picking; readonly action?: KeyAction } {
  // In raw mode Ctrl-C and Ctrl-D are keys.
  if (key === '\u0003' || key === '\u0004') return { picking: undefined, action: { type: 'quit' } }
  if (picking) return { picking: undefined, ...pick(key, picking, names) }
  switch (key) {
    case '?':
    case 'h':
      return { picking, action: { type: 'help' } }
    case 'o':
      return { picking, action: { type: 'open' } }
    case 'd':
      return { picking, action: { type: 'debug' } }
    case 'e':
      return { picking, action: { type: 'errors' } }
    case 'c':
      return { picking, action: { type: 'clear' } }
    case 'q':
      return { picking, action: { type: 'quit' } }
    case 'r':
      return { picking: 'rebuild' }
    case 'l':
      return { picking: 'filter' }
    default:
      return { picking }
  }
}

/** The question as one line. */
export function pickLine(picking: Exclude<Picking, undefined>, names: readonly string[]): string {
  const choices = names.slice(0, LABELS.length).map((name, index) => `${LABELS.charAt(index)} ${name}`)
  return `${picking === 'rebuild' ? 'rebuild' : 'logs of'}:  a all  ${choices.join('  ')}  (Esc: none)`
}

function pick(
  key: string,
  picking: Exclude<Picking, undefined>,
  names: readonly string[],
): { readonly action?: KeyAction } {
  if (key === 'a') return { action: { type: picking } }
  const name = key === '' ? undefined : names[LABELS.indexOf(key)]
  return name === undefined ? {} : { action: { type: picking, name } }
}
