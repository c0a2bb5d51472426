import { engineOption } from '../build-flags.ts'
import type { DoctorCheck } from '../../core/toolbox.ts'
import { defineCommand } from '../command.ts'
import type { Context } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { gatewayFor } from '../gateway-for.ts'
import type { WireQueue } from '../wire-calls.ts'
import { VERSION } from '../../package.ts'
import { openToolbox } from './rooms.ts'

interface Flags {
  readonly engine?: string
}

const GATEWAY_LIMIT_MS = 3000

/** What a gateway that runs says of its queue knows more than what is seen from here. Undefined when it keeps calls, or none says. */
async function askQueue(context: Context): Promise<DoctorCheck | undefined> {
  try {
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(GATEWAY_LIMIT_MS)])
    const client = await gatewayFor({ ...context, signal })
    const { problem } = (await client.read('/system/queue')) as Partial<WireQueue>
    if (!problem) return undefined
    const detail = `the gateway that runs refuses them: ${problem.message}`
    return { name: 'async calls', ok: 'fail', detail, remedy: problem.remedy }
  } catch {
    return undefined
  }
}

/** What was tried, what came of it, and what to paste. */
export const doctor = defineCommand<Flags>({
  options: [engineOption()],
  details: 'Exit code 1 when something has to be put right.',
  examples: ['', '--json'],
  async run(context, _args, flags) {
    const { print } = context
    await using toolbox = await openToolbox(context, flags.engine)
    const [found, queue] = await Promise.all([toolbox.doctor(), askQueue(context)])
    const checks = queue ? [...found.filter(({ name }) => name !== queue.name), queue] : found
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
