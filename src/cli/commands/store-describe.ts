import { defineCommand } from '../command.ts'
import { findStoreFunction, readStore, storeOptions } from '../store.ts'
import type { StoreFlags } from '../store.ts'
import { padEnd } from '../text-width.ts'

/** All that a store says about one function. */
export const storeDescribe = defineCommand<StoreFlags>({
  args: '<name>',
  options: storeOptions(),
  examples: ['nodeinfo', 'nodeinfo --url store.json --json'],
  async run(context, [name = ''], flags) {
    const { print } = context
    const { fn, image } = findStoreFunction(await readStore(context, flags), name)
    if (print.json) {
      print.value(fn)
      return 0
    }
    const rows: readonly (readonly [string, string])[] = [
      ['Name', fn.name],
      ['Title', fn.title],
      ['Author', fn.author || 'unknown'],
      ['Description', fn.description],
      ['Image', image],
      ['Process', fn.fprocess],
      ['Repository', fn.repo_url],
      ['Read-only root', fn.readOnlyRootFilesystem ? 'yes' : ''],
      ['Environment', pairs(fn.environment)],
      ['Labels', pairs(fn.labels)],
      ['Annotations', pairs(fn.annotations)],
    ]
    for (const [key, value] of rows)
      if (value !== '')
        print.line(`${padEnd(`${key}:`, 16)}${value.trim().replaceAll('\n', `\n${' '.repeat(16)}`)}`)
    return 0
  },
})

function pairs(record: Readonly<Record<string, string>>): string {
  return Object.entries(record)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n')
}
