import { defineCommand } from '../command.ts'
import { readStore, storeOptions } from '../store.ts'
import type { StoreFlags } from '../store.ts'
import { tableLines } from '../table.ts'

/** Functions that others provide as images. */
export const storeList = defineCommand<StoreFlags>({
  options: storeOptions(),
  examples: ['', '--url store.json', '--platform arm64 --json'],
  async run(context, _args, flags) {
    const { print } = context
    const { functions, platform, platforms } = await readStore(context, flags)
    if (print.json) print.value(functions)
    else if (functions.length === 0)
      print.note(
        `the store has no functions for ${platform}; it has some for ${platforms.join(', ')} (--platform)`,
      )
    else
      for (const line of tableLines(
        ['FUNCTION', 'AUTHOR', 'DESCRIPTION'],
        functions.map(({ name, author, title, description }) => [
          name,
          author || 'unknown',
          print.verbose ? description.split('\n')[0] || title : title,
        ]),
      ))
        print.line(line)
    return 0
  },
})
