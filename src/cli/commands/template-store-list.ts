import { defineCommand, flag } from '../command.ts'
import { tableLines } from '../table.ts'
import { readTemplateStore, templateStoreOptions, templateStorePlace } from '../template-store.ts'
import type { TemplateStoreFlags } from '../template-store.ts'

interface Flags extends TemplateStoreFlags {
  readonly platform?: string
  readonly recommended?: boolean
  readonly official?: boolean
}

/** Templates that others provide. */
export const templateStoreList = defineCommand<Flags>({
  options: [
    ...templateStoreOptions(),
    flag('-p, --platform <name>', 'only those for this platform, e.g. x86_64 or arm64'),
    flag('-r, --recommended', 'only those that are recommended'),
    flag('-o, --official', 'only those of OpenFaaS'),
  ],
  examples: ['', '--official -v', '--url templates.json --json'],
  async run(context, _args, flags) {
    const { print } = context
    const all = await readTemplateStore(context, templateStorePlace(context, flags))
    const templates = all
      .filter(({ recommended }) => !flags.recommended || recommended)
      .filter(({ official }) => !flags.official || official === 'true')
      .filter(({ platform }) => flags.platform === undefined || isFor(platform, flags.platform))
    if (print.json) {
      print.value(templates)
      return 0
    }
    const head = [
      'NAME',
      'RECOMMENDED',
      'SOURCE',
      'DESCRIPTION',
      ...(print.verbose ? ['LANGUAGE', 'PLATFORM'] : []),
    ]
    const rows = templates.map((one) => [
      one.template,
      one.recommended ? 'yes' : '',
      one.source,
      one.description,
      ...(print.verbose ? [one.language, one.platform] : []),
    ])
    for (const line of tableLines(head, rows)) print.line(line)
    return 0
  },
})

/** A store says several platforms in one text, with commas. */
function isFor(platforms: string, wanted: string): boolean {
  return platforms.split(',').some((one) => one.trim().toLowerCase() === wanted.toLowerCase())
}
