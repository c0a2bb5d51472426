import { relative } from 'node:path'
import { formatRef } from '../../core/function.ts'
import type { Stack } from '../../core/stack.ts'
import type { GatewayClient } from '../gateway-client.ts'
import { editorsInUse } from './configuration.ts'
import type { ConfigurationFile, DebugConfiguration, DebugPort, Editor } from './configuration.ts'
import { writeConfigurations } from './write-configurations.ts'

const ROUTE = '/system/debug'

/** A function as it is named to the gateway. */
export interface FunctionName {
  readonly name: string
  readonly namespace?: string | undefined
}

/** Ports that are open for debuggers. */
export async function listPorts(client: GatewayClient): Promise<readonly DebugPort[]> {
  return (await client.read(ROUTE)) as readonly DebugPort[]
}

/** Gives functions ports, all Node and Python functions without names; every port that is open then. */
export async function openPorts(
  client: GatewayClient,
  functions?: readonly FunctionName[],
): Promise<readonly DebugPort[]> {
  return (await client.change('PUT', ROUTE, functions && { functions })) as readonly DebugPort[]
}

/** Takes ports away, all of them without names. */
export async function closePorts(client: GatewayClient, functions?: readonly FunctionName[]): Promise<void> {
  await client.change('DELETE', ROUTE, functions && { functions })
}

/** Writes what editors need to attach to those of the ports whose sources are here; without `editors`, for those in use. */
export async function writeForEditors(
  ports: readonly DebugPort[],
  stack: Pick<Stack, 'root' | 'functions'>,
  env: Readonly<Record<string, string | undefined>>,
  editors: readonly Editor[] = editorsInUse(stack.root, env),
): Promise<readonly ConfigurationFile[]> {
  const handlers = new Map(stack.functions.map(({ spec, source }) => [formatRef(spec), source?.handler]))
  const configurations = ports.flatMap((port): DebugConfiguration[] => {
    const localRoot = handlers.get(formatRef(port))
    if (localRoot === undefined) return []
    const { name, language, host, folder } = port
    return [{ title: `faasdock: ${name}`, language, host, port: port.port, remoteRoot: folder, localRoot }]
  })
  if (configurations.length === 0) return []
  const files: ConfigurationFile[] = []
  for (const editor of editors) files.push(...(await writeConfigurations(editor, stack.root, configurations)))
  return files
}

export const PORT_HEADINGS = ['FUNCTION', 'DEBUGGER', 'PORT', '']

/** Ports as lines of a table: what, how, where. */
export function portRows(ports: readonly DebugPort[]): string[][] {
  return ports.map(({ name, language, host, port, clients }) => [
    name,
    language,
    `${host}:${port}`,
    clients > 0 ? 'attached' : '',
  ])
}

/** What functions have to be given before a debugger meets one in them. */
export function lackLines(ports: readonly DebugPort[]): string[] {
  return ports.flatMap(({ name, lacks }) =>
    lacks === undefined ? [] : [`${name} cannot be debugged as it is: ${lacks}`],
  )
}

/** What became of files of editors, for people. */
export function fileLines(files: readonly ConfigurationFile[], cwd: string): string[] {
  const words = { made: 'written', changed: 'brought up to date', same: 'up to date' }
  return files.map(({ path, change }) => `${fromHere(path, cwd)}  ${words[change]}`)
}

/** Which folder has to be open in the editor: it reads only what is in that one. */
export function openLines(files: readonly ConfigurationFile[], cwd: string): string[] {
  const folders = new Set(files.map(({ path }) => path.slice(0, path.search(EDITOR_FOLDER))))
  return [...folders].map(
    (folder) =>
      `Open ${fromHere(folder, cwd) || 'this folder'} in the editor, and start the configuration "faasdock: …".`,
  )
}

const EDITOR_FOLDER = /[/\\]\.(?:vscode|idea)[/\\](?!.*[/\\]\.(?:vscode|idea)[/\\])/

function fromHere(path: string, cwd: string): string {
  const way = relative(cwd, path)
  return way.startsWith('..') ? path : way
}
