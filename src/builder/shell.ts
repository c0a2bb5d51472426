/** One program that a shell line starts, as its words. */
export interface ShellCommand {
  readonly words: readonly string[]
  /** Files that the shell itself opens for it. */
  readonly redirects: readonly { readonly sign: '<' | '>'; readonly path: string }[]
  /** It reads what the command before it writes. */
  readonly isPiped: boolean
}

/** What may begin a command without being one. */
const LEADS: ReadonlySet<string> = new Set(['!', '{', '}', 'if', 'then', 'elif', 'else', 'fi', 'time'])
/** Whatever runs inside these runs in a way that is not told here. */
const BEYOND: ReadonlySet<string> = new Set(['for', 'while', 'until', 'case', 'function', 'select'])

/**
 * The commands of a shell line, whichever of them will run. Undefined where that takes a shell to know: loops,
 * substitutions of commands, here-documents. Variables stay as they are written.
 */
export function shellCommands(line: string): readonly ShellCommand[] | undefined {
  const tokens = tokenize(line.replace(/\\\r?\n/g, ' '))
  if (tokens === undefined) return undefined
  const commands: ShellCommand[] = []
  let words: string[] = []
  let redirects: { sign: '<' | '>'; path: string }[] = []
  let isPiped = false
  const end = (sign = ''): void => {
    const at = words.findIndex((word) => !LEADS.has(word) && !/^[A-Za-z_]\w*=/.test(word))
    if (at !== -1 || redirects.length > 0)
      commands.push({ words: at === -1 ? [] : words.slice(at), redirects, isPiped })
    isPiped = sign.startsWith('|') && sign !== '||'
    words = []
    redirects = []
  }
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]
    if (token === undefined) break
    if (token.kind === 'word') words.push(token.text)
    else if (token.kind === 'end') {
      // Inside [[ ]] they are operators of the test.
      if (words.includes('[[') && !words.includes(']]') && token.text !== '\n') words.push(token.text)
      else end(token.text)
    } else {
      const target = tokens[++at]
      if (target?.kind !== 'word') return undefined
      if (!target.text.startsWith('&')) redirects.push({ sign: token.sign, path: target.text })
    }
  }
  end()
  return commands.some(({ words: [first] }) => BEYOND.has(first ?? '')) ? undefined : commands
}

type Token =
  | { readonly kind: 'word'; readonly text: string }
  | { readonly kind: 'end'; readonly text: string }
  | { readonly kind: 'redirect'; readonly sign: '<' | '>' }

const PIECE =
  /(?<space>[ \t]+)|(?<comment>#[^\n]*)|(?<end>&&|\|\|?&?|;;?|\n|[()]|&(?![>\d]))|(?<redirect>\d*(?:&>>?|>>|>\||[<>])(?![<(])[ \t]*)|(?<word>(?:[^\s"'\\$`|&;<>()#]|(?<=\S)#|\\[^]|'[^']*'|"(?:[^"\\`$]|\\[^]|\$(?!\())*"|\$(?!\())+|&\d)/y

function tokenize(line: string): readonly Token[] | undefined {
  const tokens: Token[] = []
  for (let at = 0; at < line.length;) {
    PIECE.lastIndex = at
    const found = PIECE.exec(line)
    if (found?.groups === undefined || found[0] === '') return undefined
    const { end, redirect, word } = found.groups
    if (end !== undefined) tokens.push({ kind: 'end', text: end })
    else if (redirect !== undefined)
      tokens.push({ kind: 'redirect', sign: redirect.includes('<') ? '<' : '>' })
    else if (word !== undefined) tokens.push({ kind: 'word', text: unquoted(word) })
    at += found[0].length
  }
  return tokens
}

function unquoted(word: string): string {
  return word.replace(/'([^']*)'|"((?:[^"\\]|\\[^])*)"|\\([^])/g, (_, single, double, escaped) =>
    String(single ?? (double as string | undefined)?.replace(/\\(["\\$`])/g, '$1') ?? escaped),
  )
}
