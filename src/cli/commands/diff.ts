import type { FunctionSpec } from '../../core/function.ts'
import { overrideBuild, tagOption } from '../build-flags.ts'
import { defineCommand, flag } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { gatewayFor } from '../gateway-for.ts'
import type { TagMode } from '../image-tag.ts'
import { readStackFor } from '../stack-for.ts'
import { tableLines } from '../table.ts'
import { wireNamespace } from '../wire.ts'
import type { WireFunction } from '../wire.ts'

interface Flags {
  readonly env?: (typeof SIDES)[number]
  readonly tag?: TagMode
}

const SIDES = ['local', 'remote', 'all'] as const

/** Stack file against gateway, function by function. Changes nothing. */
export const diff = defineCommand<Flags>({
  options: [
    flag(
      '--env <side>',
      'environment variables of which side count (default: local, the stack file)',
    ).choices(SIDES),
    tagOption(),
  ],
  details: 'Exit code 1 when they differ. What is deployed and not in the stack file is not looked at.',
  examples: ['', '-f mobile.yml --env all', '--json'],
  async run(context, _args, flags) {
    const { print } = context
    const stack = await readStackFor(context, 'trust')
    const functions = await Promise.all(
      stack.functions.map((fn) =>
        overrideBuild(fn, stack.root, flags.tag === undefined ? {} : { tag: flags.tag }),
      ),
    )
    functions.sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1))
    const client = await gatewayFor(context, stack)
    const deployed = new Map<string, Map<string, WireFunction>>()
    const differences = []
    for (const { spec } of functions) {
      const namespace = wireNamespace(spec, context.flags.namespace)
      const key = namespace ?? ''
      const there = deployed.get(key) ?? new Map((await client.list(namespace)).map((fn) => [fn.name, fn]))
      deployed.set(key, there)
      const rows = compare(spec, there.get(spec.name), flags.env ?? 'local')
      if (rows.length > 0) differences.push({ name: spec.name, rows })
    }
    if (print.json) print.value(differences.map(({ name, rows }) => ({ name, differences: rows })))
    else if (differences.length === 0) print.line('what is deployed is what the stack file says')
    for (const { name, rows } of print.json ? [] : differences) {
      print.line(print.colors.bold(name))
      const cells = rows.map(({ field, stack: wanted, deployed: is }) => [
        `  ${field}`,
        wanted ?? '',
        is ?? '',
      ])
      for (const line of tableLines(['  FIELD', 'STACK FILE', 'DEPLOYED'], cells)) print.line(line)
    }
    return differences.length === 0 ? EXIT.ok : EXIT.failed
  },
})

interface Difference {
  readonly field: string
  readonly stack?: string
  readonly deployed?: string
}

function compare(
  spec: FunctionSpec,
  there: WireFunction | undefined,
  side: (typeof SIDES)[number],
): Difference[] {
  if (!there) return [{ field: 'function', stack: 'defined' }]
  const wanted = fieldsOf(spec)
  const is = fieldsOf(there)
  return [...new Set([...wanted.keys(), ...is.keys()])].sort().flatMap((field) => {
    const [a, b] = [wanted.get(field), is.get(field)]
    if (a === b || isLeftAlone(field, a, b, side)) return []
    return { field, ...(a !== undefined && { stack: a }), ...(b !== undefined && { deployed: b }) }
  })
}

/** What gateways add by themselves (contract 0, item 11, and 13.3). */
const OF_THE_PLATFORM = ['label.faas_function', 'label.uid', 'annotation.prometheus.io.scrape']

/** A process may come from the template, and variables from flags: what the stack file does not say is not wrong. */
function isLeftAlone(
  field: string,
  wanted: string | undefined,
  is: string | undefined,
  side: string,
): boolean {
  if (field === 'fprocess' || OF_THE_PLATFORM.includes(field)) return wanted === undefined
  if (!field.startsWith('env.')) return false
  return (side === 'local' && wanted === undefined) || (side === 'remote' && is === undefined)
}

function fieldsOf(fn: FunctionSpec | WireFunction): Map<string, string> {
  const { envVars, labels, annotations, limits, requests, secrets, constraints } = fn
  const fields = new Map([
    ['image', fn.image],
    ['readonly_root_filesystem', String(fn.readOnlyRootFilesystem === true)],
  ])
  if (fn.envProcess) fields.set('fprocess', fn.envProcess)
  const groups = { env: envVars, label: labels, annotation: annotations, limits, requests }
  for (const [group, record] of Object.entries(groups))
    for (const [key, value] of Object.entries(record ?? {})) fields.set(`${group}.${key}`, value)
  for (const secret of secrets ?? []) fields.set(`secret.${secret}`, 'present')
  for (const constraint of constraints ?? []) fields.set(`constraint.${constraint}`, 'present')
  return fields
}
