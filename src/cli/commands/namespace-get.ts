import { defineCommand } from '../command.ts'
import { findGateway } from '../gateway-for.ts'
import { padEnd } from '../text-width.ts'

/** One namespace with its labels and annotations. */
export const namespaceGet = defineCommand({
  args: '<name>',
  examples: ['dev', 'dev --json'],
  async run(context, [name = '']) {
    const { print } = context
    const client = await findGateway(context, { strict: false })
    const namespace = await client.getNamespace(name)
    if (print.json) {
      print.value(namespace)
      return 0
    }
    const rows: readonly [string, string][] = [
      ['Name', namespace.name],
      ...pairs('Labels', namespace.labels),
      ...pairs('Annotations', namespace.annotations),
    ]
    for (const [key, value] of rows) print.line(`${padEnd(key && `${key}:`, 14)}${value}`)
    return 0
  },
})

/** One row for each pair, the first with the heading. */
function pairs(
  heading: string,
  record: Readonly<Record<string, string>> | null | undefined,
): [string, string][] {
  return Object.entries(record ?? {}).map(([key, value], index) => [
    index === 0 ? heading : '',
    `${key}=${value}`,
  ])
}
