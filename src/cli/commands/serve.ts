import { defineCommand, flag } from '../command.ts'
import { DevView } from '../dev-view.ts'
import { hostOptions } from '../host-flags.ts'
import type { HostFlags } from '../host-flags.ts'
import { untilStopped } from '../until-stopped.ts'
import { openApp } from './rooms.ts'

/** The platform in this process, without a stack: for a team, or for `up` from other terminals. */
export const serve = defineCommand<HostFlags>({
  options: [
    ...hostOptions(),
    flag(
      '--stop-functions',
      'functions end too, and are started again by the next start (default: they run on) (env: FAASDOCK_STOP_FUNCTIONS)',
    ),
  ],
  details:
    'Runs until Ctrl-C. Functions run on, on the engine, and are served again when it is started again.',
  examples: ['', '--host 0.0.0.0 --port 8080', '--json'],
  async run(context, _args, flags) {
    const { print, signal } = context
    const app = await openApp(context, flags)
    try {
      const view = new DevView({ verbose: print.verbose })
      using _events = app.events.watch((event) => {
        if (print.json) print.record(event)
        else for (const { text } of view.see(event)) print.say(text)
      }, 0)
      const functions = app.functions.list().length
      if (print.json)
        print.record({
          type: 'start.done',
          url: app.url,
          instance: app.instance,
          dataDir: app.dataDir,
          functions,
        })
      print.say(`API   ${app.url}`)
      print.say(`data  ${app.dataDir}  (${functions} ${functions === 1 ? 'function' : 'functions'})`)
      await untilStopped(signal)
    } finally {
      await app.stop({ removeFunctions: false })
    }
    print.say(
      `stopped; functions ${app.keepsFunctions ? 'stay' : 'ended too'}, and are served again by the next "faasdock serve"`,
    )
    return 0
  },
})
