import { asFaasError, FaasError } from '../../core/errors.ts'
import { engineOption } from '../build-flags.ts'
import { defineCommand } from '../command.ts'
import type { Context } from '../command.ts'
import { functionUrl } from '../deploy-functions.ts'
import { exitCodeOf, EXIT } from '../exit-codes.ts'
import type { GatewayClient } from '../gateway-client.ts'
import { findGateway } from '../gateway-for.ts'
import type { EngineDescription } from '../../core/toolbox.ts'
import { frameLines, placed, problemText } from '../problem-text.ts'
import { stateText } from '../state-text.ts'
import { tableLines } from '../table.ts'
import { stateOf } from '../wire.ts'
import type { WireFunction, WireInfo } from '../wire.ts'
import { openToolbox } from './rooms.ts'

interface Flags {
  readonly engine?: string
}

/** Gateway, engine and functions on one screen. */
export const status = defineCommand<Flags>({
  options: [engineOption()],
  details:
    'Exit code 4 when no gateway answers, 6 when a function is failing or the stack file of the gateway’s dev cannot be used.',
  examples: ['', '--json'],
  async run(context, _args, flags) {
    const client = await findGateway(context, { strict: false })
    const [engine, gateway] = await Promise.all([
      orError(lookAtEngine(context, flags.engine)),
      orError(lookAtGateway(client, context.flags.namespace)),
    ])
    if (context.print.json) showJson(context, client, engine, gateway)
    else showText(context, client, engine, gateway)
    if (gateway instanceof FaasError) return exitCodeOf(gateway.code)
    const isFailing =
      gateway.info.stack !== undefined ||
      gateway.undeployed.length > 0 ||
      gateway.functions.some((fn) => stateOf(fn) === 'failing')
    return isFailing ? EXIT.notReady : EXIT.ok
  },
})

interface GatewayView {
  readonly info: WireInfo
  readonly functions: readonly WireFunction[]
  /** Of the namespace that is asked for. */
  readonly undeployed: NonNullable<WireInfo['undeployed']>
}

async function lookAtEngine(context: Context, address: string | undefined): Promise<EngineDescription> {
  await using toolbox = await openToolbox(context, address)
  return await toolbox.engine()
}

async function lookAtGateway(client: GatewayClient, namespace: string | undefined): Promise<GatewayView> {
  const [info, functions] = await Promise.all([client.info(), client.list(namespace)])
  const undeployed = (info.undeployed ?? []).filter((fn) => (namespace ?? fn.namespace) === fn.namespace)
  return { info, functions, undeployed }
}

/** A part that cannot be seen is part of the status, not the end of it. */
async function orError<T>(work: Promise<T>): Promise<T | FaasError> {
  try {
    return await work
  } catch (error) {
    return asFaasError(error)
  }
}

function showJson(
  { print }: Context,
  client: GatewayClient,
  engine: EngineDescription | FaasError,
  gateway: GatewayView | FaasError,
): void {
  const failure = ({ code, message, remedy }: FaasError) => ({ error: { code, message, remedy } })
  print.value({
    gateway: { url: client.url, ...(gateway instanceof FaasError ? failure(gateway) : gateway.info) },
    engine: engine instanceof FaasError ? failure(engine) : engine,
    functions: gateway instanceof FaasError ? [] : gateway.functions,
  })
}

function showText(
  { print }: Context,
  client: GatewayClient,
  engine: EngineDescription | FaasError,
  gateway: GatewayView | FaasError,
): void {
  const { red, cyan } = print.colors
  const failure = ({ message, remedy }: FaasError) => `${red(message)}\n          ${cyan(`→ ${remedy}`)}`
  print.line(
    `gateway   ${gateway instanceof FaasError ? failure(gateway) : `${client.url}  ${gateway.info.version?.release ?? ''}`.trimEnd()}`,
  )
  print.line(
    `engine    ${engine instanceof FaasError ? failure(engine) : `${engine.address}  Docker ${engine.version} (${engine.architecture})`}`,
  )
  if (gateway instanceof FaasError) return
  const { stack } = gateway.info
  if (stack) {
    print.line(`stack     ${red(`${stack.file} cannot be used; what was read before goes on`)}`)
    print.line(
      `          ${red(stack.problem.code)}: ${placed(stack.problem).replaceAll(/\n(?=.)/g, '\n          ')}`,
    )
    for (const line of frameLines(stack.problem)) print.line(`          ${line}`)
    print.line(`          ${cyan(`→ ${stack.problem.remedy}`)}`)
  }
  const count = gateway.functions.length + gateway.undeployed.length
  print.line(`functions ${count === 0 ? 'none; deploy some with "faasdock up"' : count}`)
  if (count === 0) return
  const rows = [
    ...gateway.functions.map((fn) => [fn.name, functionUrl(client.url, fn), stateText(fn, print.colors)]),
    ...gateway.undeployed.map(({ name }) => [name, '', red('failing, never deployed')]),
  ].sort(([one = ''], [other = '']) => one.localeCompare(other))
  for (const line of tableLines(['FUNCTION', 'URL', 'STATE'], rows)) print.line(line)
  const [last, ...others] = [...gateway.functions, ...gateway.undeployed]
    .filter((fn) => fn.problem)
    .sort((a, b) => Date.parse(b.problem?.at ?? '') - Date.parse(a.problem?.at ?? ''))
  if (!last?.problem) return
  print.line(`\nlast problem: ${last.name} at ${last.problem.at}`)
  print.line(`${red(last.problem.code)}: ${placed(last.problem)}`)
  for (const line of frameLines(last.problem)) print.line(`  ${line}`)
  print.line(cyan(`→ ${last.problem.remedy}`))
  if (others.length > 0) print.line('')
  for (const { name, problem } of others)
    if (problem) print.line(`${name}: ${problemText(problem).split('\n', 1)[0] ?? ''}`)
}
