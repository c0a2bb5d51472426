import { createScanner, parseTree, printParseErrorCode } from 'jsonc-parser'
import type { Node, ParseError } from 'jsonc-parser'
import { FaasError } from '../../core/errors.ts'
import { fromProject } from './configuration.ts'
import type { DebugConfiguration } from './configuration.ts'

const NEW_FILE = '{\n  "version": "0.2.0",\n  "configurations": []\n}\n'

/**
 * `.vscode/launch.json` with these configurations: those that it lacks are added, and of those of the same name the port is
 * made right. Everything else stays as it was written, comments too. FILE_NOT_READABLE when it cannot be understood.
 */
export function mergeLaunch(
  text: string | undefined,
  wanted: readonly DebugConfiguration[],
  { file, project }: { readonly file: string; readonly project: string },
): string {
  let result = text === undefined || text.trim() === '' ? NEW_FILE : text
  for (const configuration of wanted) {
    const root = read(result, file)
    const list = child(root, 'configurations')
    if (list && list.type !== 'array') throw unreadable(file, '"configurations" is not a list')
    const known = list?.children?.find((one) => child(one, 'name')?.value === configuration.title)
    if (known) result = withPort(result, known, configuration)
    else {
      const entry = launchEntry(configuration, project)
      // The list is made where there is none.
      result = list ? insertLast(result, list, entry) : insertLast(result, root, [entry], 'configurations')
    }
  }
  return result
}

function launchEntry(wanted: DebugConfiguration, project: string): Readonly<Record<string, unknown>> {
  const { title, language, host, port, remoteRoot } = wanted
  const localRoot = fromProject('${workspaceFolder}', project, wanted.localRoot)
  if (language === 'node') {
    return {
      name: title,
      type: 'node',
      request: 'attach',
      address: host,
      port,
      localRoot,
      remoteRoot,
      // A replica that ends is followed by another one at the same port.
      restart: true,
      skipFiles: ['<node_internals>/**'],
    }
  }
  return {
    name: title,
    type: 'debugpy',
    request: 'attach',
    connect: { host, port },
    pathMappings: [{ localRoot, remoteRoot }],
    justMyCode: true,
  }
}

function read(text: string, file: string): Node {
  const errors: ParseError[] = []
  const root = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false })
  const [error] = errors
  if (error) {
    const line = text.slice(0, error.offset).split('\n').length
    throw unreadable(file, `line ${line}: ${printParseErrorCode(error.error)}`)
  }
  if (root?.type !== 'object') throw unreadable(file, 'it is not a JSON object')
  return root
}

function child(node: Node, key: string): Node | undefined {
  if (node.type !== 'object') return undefined
  return node.children?.find(({ children }) => children?.[0]?.value === key)?.children?.[1]
}

function withPort(text: string, known: Node, { language, port }: DebugConfiguration): string {
  const keys = language === 'node' ? ['port'] : ['connect', 'port']
  const node = keys.reduce<Node | undefined>((found, key) => found && child(found, key), known)
  return node ? splice(text, node.offset, node.offset + node.length, String(port)) : text
}

/** SyntaxKind.CommaToken: an enumeration of constants, which are nowhere when the program runs. */
const COMMA = 5

/** Puts a value behind the last one of a list or an object, and touches nothing else: not even a comment between them. */
function insertLast(text: string, container: Node, value: unknown, key?: string): string {
  const close = container.offset + container.length - 1
  const last = container.children?.at(-1)
  const lastEnd = last && last.offset + last.length
  const hasComma = lastEnd !== undefined && firstToken(text, lastEnd) === COMMA
  const at = text.slice(0, close).trimEnd().length
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  const step = /\n([ \t]+)\S/.exec(text)?.[1] ?? '  '
  const outer = /[ \t]*/.exec(lineAt(text, container.offset))?.[0] ?? ''
  const inner = outer + step
  const json = JSON.stringify(value, undefined, step).replaceAll('\n', eol + inner)
  const item = `${eol}${inner}${key === undefined ? '' : `${JSON.stringify(key)}: `}${json}`
  const isInline = !text.slice(at, close).includes('\n')
  const inserted = `${item}${hasComma ? ',' : ''}${isInline ? eol + outer : ''}`
  const result = splice(text, at, at, inserted)
  return lastEnd === undefined || hasComma ? result : splice(result, lastEnd, lastEnd, ',')
}

/** What comes first behind `offset` but white space and comments. */
function firstToken(text: string, offset: number): number {
  const scanner = createScanner(text, true)
  scanner.setPosition(offset)
  return scanner.scan()
}

function lineAt(text: string, offset: number): string {
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1)
}

function splice(text: string, start: number, end: number, inserted: string): string {
  return text.slice(0, start) + inserted + text.slice(end)
}

function unreadable(file: string, why: string): FaasError {
  return new FaasError('FILE_NOT_READABLE', {
    message: `${file} cannot be understood, and was left as it is: ${why}`,
    remedy: 'Correct it, or move it away, and ask again.',
  })
}
