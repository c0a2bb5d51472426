import { FaasError } from '../../core/errors.ts'
import { formatRef, parseRef } from '../../core/function.ts'
import type { Stack } from '../../core/stack.ts'
import { defineCommand, flag } from '../command.ts'
import type { Context } from '../command.ts'
import type { ConfigurationFile, DebugPort, Editor } from '../debug/configuration.ts'
import {
  closePorts,
  fileLines,
  lackLines,
  listPorts,
  openLines,
  openPorts,
  PORT_HEADINGS,
  portRows,
  writeForEditors,
} from '../debug/open-ports.ts'
import type { FunctionName } from '../debug/open-ports.ts'
import { findGatewayAndStack } from '../gateway-for.ts'
import { tableLines } from '../table.ts'
import { wireNamespace } from '../wire.ts'

interface Flags {
  readonly off?: boolean
  readonly vscode?: boolean
  readonly jetbrains?: boolean
  readonly write?: boolean
}

/** A port for debuggers for each function, and what editors need to attach there. */
export const debug = defineCommand<Flags>({
  args: '[name...]',
  options: [
    flag('--off', 'close the ports again; each function keeps its own for the next time'),
    flag('--vscode', 'write .vscode/launch.json, also where VS Code was not used before'),
    flag('--jetbrains', 'write .idea/runConfigurations, also where no JetBrains IDE was used before'),
    flag('--no-write', 'leave the files of editors alone'),
  ],
  details:
    'Without names, every Node and Python function gets a port on 127.0.0.1. It stays its own through saves, restarts and sleep; a debugger that connects wakes the function, and calls take as long as somebody looks. Nothing is built. What editors need is written beside the stack file for those that are used there.',
  examples: ['', 'm-search', 'm-search --vscode', '--off'],
  async run(context, names, flags) {
    const { print, io } = context
    const { client, stack } = await findGatewayAndStack(context, { strict: true })
    const functions = names.length === 0 ? undefined : names.map((name) => named(name, stack, context))
    if (flags.off === true) {
      const before = await listPorts(client)
      await closePorts(client, functions)
      const left = await listPorts(client)
      if (print.json) print.value(left)
      print.say(closedText(before, left))
      return 0
    }
    const all = await openPorts(client, functions)
    const ports = functions ? all.filter(({ name }) => functions.some((one) => one.name === name)) : all
    const files = flags.write === false ? [] : await write(ports, stack, context, editorsOf(flags))
    if (print.json) {
      print.value({ ports, files })
      return 0
    }
    if (ports.length === 0) print.say('no function that is deployed is Node or Python')
    else for (const line of tableLines(PORT_HEADINGS, portRows(ports))) print.line(line)
    for (const line of lackLines(ports)) print.note(line)
    for (const line of [...fileLines(files, io.cwd), ...openLines(files, io.cwd)]) print.say(line)
    if (ports.length > 0 && files.length === 0)
      print.say(
        `Attach your editor there; ${stack ? '--vscode or --jetbrains' : '-f STACK --vscode (or --jetbrains)'} writes what it needs.`,
      )
    return 0
  },
})

function closedText(before: readonly DebugPort[], left: readonly DebugPort[]): string {
  const open = new Set(left.map(formatRef))
  const closed = before.filter((port) => !open.has(formatRef(port)))
  if (closed.length > 0) return `closed: ${closed.map(({ name, port }) => `${name} (${port})`).join(', ')}`
  return left.length === 0 ? 'no function had a port for debuggers' : 'none of them had a port for debuggers'
}

function named(given: string, stack: Stack | undefined, { flags }: Context): FunctionName {
  if (given.includes('.')) return parseRef(given)
  const known = stack?.functions.find(({ spec }) => spec.name === given)?.spec
  return { name: given, namespace: wireNamespace(known ?? {}, flags.namespace) }
}

function editorsOf({ vscode, jetbrains }: Flags): readonly Editor[] | undefined {
  const editors: Editor[] = [
    ...(vscode === true ? (['vscode'] as const) : []),
    ...(jetbrains === true ? (['jetbrains'] as const) : []),
  ]
  return editors.length === 0 ? undefined : editors
}

async function write(
  ports: Parameters<typeof writeForEditors>[0],
  stack: Stack | undefined,
  { io }: Context,
  editors: readonly Editor[] | undefined,
): Promise<readonly ConfigurationFile[]> {
  if (stack) return writeForEditors(ports, stack, io.env, editors)
  if (!editors) return []
  throw new FaasError('BAD_USAGE', {
    message: 'editors have to be told where the sources are, and there is no stack file that says it',
    remedy: 'Run it in the folder of the stack file, or name that file with -f.',
  })
}
