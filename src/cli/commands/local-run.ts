import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FaasError } from '../../core/errors.ts'
import { nearest } from '../../core/nearest.ts'
import type { Stack, StackFunction } from '../../core/stack.ts'
import { engineOption, overrideBuild, tagOption } from '../build-flags.ts'
import { defineCommand, flag, listFlag, numberFlag } from '../command.ts'
import type { Context } from '../command.ts'
import { functionUrl } from '../deploy-functions.ts'
import { dockerRunLine } from '../docker-run-line.ts'
import { openFrontDoor } from '../front-door.ts'
import type { FrontDoor } from '../front-door.ts'
import type { TagMode } from '../image-tag.ts'
import { readKeyValues } from '../key-values.ts'
import { withTemplateProcess } from '../read-template.ts'
import { readStackFor } from '../stack-for.ts'
import { stackPullOptions } from '../template-pull.ts'
import type { StackPullFlags } from '../template-pull.ts'
import { host, pullForDev } from './dev.ts'
import { openApp, openToolbox } from './rooms.ts'

interface Flags extends StackPullFlags {
  readonly print?: boolean
  readonly build?: boolean
  readonly port?: number
  readonly network?: string
  readonly env?: readonly string[]
  readonly watch?: boolean
  readonly tag?: TagMode
  readonly engine?: string
}

const DEFAULT_PORT = 8080

/** One function as `dev` runs it, with an address of its own: what faas-cli's local-run is for. */
export const localRun = defineCommand<Flags>({
  args: '[name]',
  options: [
    numberFlag(
      '-p, --port <port>',
      `port that the function answers at; 0 takes any that is free (default: ${DEFAULT_PORT})`,
    ),
    listFlag('-e, --env <key=value>', 'set an environment variable'),
    flag('--watch', 'rebuild when you save'),
    flag('--build', 'build it first (default: true; --build=false takes the image as it is)'),
    flag('--no-build').hideHelp(),
    flag('--print', 'show the docker command that would run it alone, and stop there'),
    tagOption(),
    flag('--network <name>').hideHelp(),
    ...stackPullOptions(),
    engineOption(),
  ],
  details:
    'Runs one function of the stack file until Ctrl-C, as "dev" does for all. It answers at the root of its own address, as with faas-cli, and besides at a gateway, through which it can call itself; to have functions call each other, use "dev". Secrets are read from .secrets.',
  examples: ['', 'm-search --port 8081 -e LOG=debug', 'm-search --watch', 'm-search --print'],
  async run(context, [name], flags) {
    const began = performance.now()
    refuseNetwork(flags.network)
    const stack = await readStackFor(context, flags.build === false || flags.print ? 'trust' : 'check')
    const fn = chooseFunction(stack, name)
    const adjust = (one: StackFunction): Promise<StackFunction> => adjusted(one, stack.root, flags)
    const port = flags.port ?? DEFAULT_PORT
    if (flags.print) {
      const [shown] = await withTemplateProcess([await adjust(fn)], {}, () => openToolbox(context))
      context.print.line(dockerRunLine((shown ?? fn).spec, port, stack.root))
      return 0
    }
    if (flags.build !== false) await pullForDev(context, { ...stack, functions: [fn] }, flags)
    return run(context, { stack, fn, flags, port, adjust, began })
  },
})

interface Run {
  readonly stack: Stack
  readonly fn: StackFunction
  readonly flags: Flags
  readonly port: number
  readonly adjust: (fn: StackFunction) => Promise<StackFunction>
  readonly began: number
}

async function run(context: Context, { stack, fn, flags, port, adjust, began }: Run): Promise<number> {
  // A platform of its own: one function more or less must not disturb a `dev` of the same project.
  const data = await mkdtemp(join(tmpdir(), 'faasdock-local-run-'))
  let door: FrontDoor | undefined
  try {
    const { namespace, envsubst } = context.flags
    const hostFlags = {
      port: 0,
      data,
      watch: flags.watch === true,
      ...(flags.engine && { engine: flags.engine }),
    }
    const app = await openApp(context, hostFlags, {
      file: stack.file,
      filter: fn.spec.name,
      substitute: envsubst !== false,
      ...(namespace === undefined ? {} : { namespace }),
      adjust,
    })
    try {
      door = await openFrontDoor(port, functionUrl(app.url, fn.spec))
    } catch (error) {
      await app.stop({ removeFunctions: true })
      throw error
    }
    const { url } = door
    return await host(context, app, began, () => {
      const { print } = context
      if (print.json) print.record({ type: 'local-run.ready', name: fn.spec.name, url })
      else if (app.functions.undeployed().length > 0) print.say(`nothing answers at ${url} yet`)
      else print.say(`${print.colors.bold(fn.spec.name)} answers at ${print.colors.bold(url)}`)
      return Promise.resolve()
    })
  } finally {
    await door?.[Symbol.asyncDispose]()
    await rm(data, { recursive: true, force: true })
  }
}

/** The one that is named, or the only one there is. BAD_USAGE. */
function chooseFunction({ functions, file }: Stack, name: string | undefined): StackFunction {
  const names = functions.map(({ spec }) => spec.name)
  const [only, ...others] = functions
  const chosen =
    name === undefined && others.length === 0 ? only : functions.find(({ spec }) => spec.name === name)
  if (chosen) return chosen
  const near = name === undefined ? [] : nearest(name, names)
  throw new FaasError('BAD_USAGE', {
    message:
      name === undefined
        ? `${file} has ${functions.length} functions, and local-run runs one`
        : `${file} has no function ${JSON.stringify(name)}`,
    remedy:
      near.length > 0
        ? `Did you mean ${near.join(', ')}?`
        : `Name one: ${names.join(', ')}. "faasdock dev" runs all of them.`,
  })
}

async function adjusted(fn: StackFunction, root: string, flags: Flags): Promise<StackFunction> {
  const { source, spec, ...rest } = await overrideBuild(
    fn,
    root,
    flags.tag === undefined ? {} : { tag: flags.tag },
  )
  const envVars = { ...spec.envVars, ...readKeyValues(flags.env, '--env') }
  return {
    ...rest,
    spec: { ...spec, ...(Object.keys(envVars).length > 0 && { envVars }) },
    ...(source && flags.build !== false && { source }),
  }
}

function refuseNetwork(network: string | undefined): void {
  if (network === undefined) return
  throw new FaasError('BAD_USAGE', {
    message: `--network ${network}: functions run in the network of their platform`,
    remedy:
      'A function reaches this machine as host.docker.internal, other functions through http://gateway:8080; or run the line of --print with --network added.',
  })
}
