import { dirname, resolve } from 'node:path'
import { defineCommand } from '../command.ts'
import { tableLines } from '../table.ts'
import { openToolbox } from './rooms.ts'

/** Templates that `new --lang` takes. */
export const templateList = defineCommand({
  examples: ['', '--json'],
  async run(context) {
    const { io, print, flags } = context
    await using toolbox = await openToolbox(context)
    const root = flags.yaml === undefined ? io.cwd : dirname(resolve(io.cwd, flags.yaml))
    const templates = await toolbox.listTemplates(root)
    if (print.json) print.value(templates)
    else
      for (const line of tableLines(
        ['LANG', 'FROM', 'HANDLER'],
        templates.map((one) => [one.lang, one.origin, one.description ?? one.language ?? '']),
      ))
        print.line(line)
    return 0
  },
})
