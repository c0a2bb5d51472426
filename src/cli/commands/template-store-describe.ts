import { defineCommand } from '../command.ts'
import {
  findStoreTemplate,
  readTemplateStore,
  templateStoreOptions,
  templateStorePlace,
} from '../template-store.ts'
import type { TemplateStoreFlags } from '../template-store.ts'
import { padEnd } from '../text-width.ts'

/** All that a store says about one template. */
export const templateStoreDescribe = defineCommand<TemplateStoreFlags>({
  args: '<name>',
  options: templateStoreOptions(),
  examples: ['golang-middleware', 'golang-middleware --json'],
  async run(context, [name = ''], flags) {
    const { print } = context
    const place = templateStorePlace(context, flags)
    const { template } = findStoreTemplate(await readTemplateStore(context, place), name, place)
    if (print.json) {
      print.value(template)
      return 0
    }
    const rows: readonly [string, string][] = [
      ['Name', template.template],
      ['Description', template.description],
      ['Language', template.language],
      ['Source', template.source],
      ['Repository', template.repo],
      ['Platform', template.platform],
      ['Official', template.official === 'true' ? 'yes' : 'no'],
      ['Recommended', template.recommended ? 'yes' : 'no'],
    ]
    for (const [key, value] of rows) print.line(`${padEnd(`${key}:`, 14)}${value}`.trimEnd())
    return 0
  },
})
