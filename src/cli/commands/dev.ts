import type { Stack } from '../../core/stack.ts'
import { defineCommand, flag, numberFlag } from '../command.ts'
import type { Context } from '../command.ts'
import { DevSession } from '../dev-session.ts'
import { hostOptions } from '../host-flags.ts'
import type { HostFlags } from '../host-flags.ts'
import type { HostedApp } from '../rooms-contract.ts'
import { readStackFor } from '../stack-for.ts'
import { untilStopped } from '../until-stopped.ts'
import { pullMissingTemplates } from '../template-pull.ts'
import type { StackPullFlags } from '../template-pull.ts'
import { openApp, openToolbox } from './rooms.ts'

/** The platform in this process, with a stack that is built, deployed and watched. */
export const dev = defineCommand<HostFlags & StackPullFlags>({
  options: [
    ...hostOptions(),
    numberFlag('--parallel <n>', 'how many builds at once (default: 4) (env: FAASDOCK_PARALLEL)', 1),
    flag('--no-watch', 'build and deploy once; do not watch (env: FAASDOCK_WATCH=false)'),
    flag(
      '--watch-mode <mode>',
      'how saves are noticed: events, poll (looking at every file), or auto: what fits where a file lies (default: auto) (env: FAASDOCK_WATCH_MODE)',
    ),
    flag(
      '--hold <duration>',
      'how long calls of a function that was saved wait for its new code, before the old one answers them (default: 2s) (env: FAASDOCK_HOLD)',
    ),
    flag('--disable-stack-pull', 'never fetch a template that is missing'),
  ],
  details:
    'Runs until Ctrl-C, which removes what it started; a second Ctrl-C does not wait. On a terminal, ? lists the keys.\nWith --json every event is one JSON line on standard output.',
  examples: ['', '-f mobile.yml', '--port 9090 --filter "m-*"', '--json | jq .type'],
  async run(context, _args, flags) {
    const began = performance.now()
    // A stack with mistakes is said before anything is started.
    const stack = await readStackFor(context, 'check')
    await pullForDev(context, stack, flags)
    const { filter, regex, namespace, envsubst } = context.flags
    const app = await openApp(context, flags, {
      file: stack.file,
      substitute: envsubst !== false,
      ...(filter === undefined ? {} : { filter }),
      ...(regex === undefined ? {} : { regex }),
      ...(namespace === undefined ? {} : { namespace }),
    })
    return host(context, app, began)
  },
})

/** Templates that are missing; looked for only where a function is built, as it takes a moment. */
export async function pullForDev(
  context: Context,
  stack: Stack,
  flags: StackPullFlags & Pick<HostFlags, 'engine'>,
): Promise<void> {
  const sources = stack.functions.flatMap(({ source }) => source ?? [])
  if (sources.length === 0 || flags.disableStackPull) return
  await using toolbox = await openToolbox(context, flags.engine)
  await pullMissingTemplates(context, toolbox, sources, stack.templates, flags)
}

/** Shows a platform that is starting until it is stopped. `onStart` is told when every function is there, or has failed. */
export async function host(
  context: Context,
  app: HostedApp,
  began: number,
  onStart?: () => Promise<void>,
): Promise<number> {
  const { print, signal } = context
  const session = new DevSession(context, app)
  try {
    await Promise.race([app.dev?.settled(), untilStopped(signal)])
    if (!signal.aborted) session.showStart((performance.now() - began) / 1000)
    if (!signal.aborted) await onStart?.()
    await untilStopped(signal)
  } finally {
    session[Symbol.dispose]()
    const names = app.functions.list().map(({ spec }) => spec.name)
    print.say(print.colors.dim('stopping (again to force) …'))
    await app.stop({ removeFunctions: true })
    const word = names.length === 1 ? 'function' : 'functions'
    print.say(
      names.length === 0 ? 'stopped' : `stopped; removed ${names.length} ${word}: ${names.join(', ')}`,
    )
  }
  // Stopping it is how it is meant to end.
  return 0
}
