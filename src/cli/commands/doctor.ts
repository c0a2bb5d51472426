import { engineOption } from '../build-flags.ts'
import { defineCommand } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { VERSION } from '../../package.ts'
import { openToolbox } from './rooms.ts'

interface Flags {
  readonly engine?: string
}

/** What was tried, what came of it, and what to paste. */
export const doctor = defineCommand<Flags>({
  options: [engineOption()],
  details: 'Exit code 1 when something has to be put right.',
  examples: ['', '--json'],
  async run(context, _args, flags) {
    const { print } = context
    await using toolbox = await openToolbox(context, flags.engine)
    const checks = await toolbox.doctor()
    if (print.json)
      print.value({
        version: VERSION,
        node: process.version,
        platform: process.platform,
        arch: process.arch,
        checks,
      })
    else {
      print.line(`faasdock ${VERSION}, Node ${process.version.slice(1)}, ${process.platform} ${process.arch}`)
      const { green, yellow, red, cyan } = print.colors
      const marks = { ok: green('  ok  '), warn: yellow('  warn'), fail: red('  FAIL') }
      for (const { name, ok, detail, remedy } of checks) {
        print.line(`${marks[ok]} ${name}: ${detail.replaceAll('\n', '\n          ')}`)
        if (remedy) print.line(cyan(`        → ${remedy.replaceAll('\n', '\n          ')}`))
      }
    }
    return checks.some(({ ok }) => ok === 'fail') ? EXIT.failed : EXIT.ok
  },
})
