import { defineCommand } from '../command.ts'
import { functionUrl } from '../deploy-functions.ts'
import { findGatewayAndStack } from '../gateway-for.ts'
import { frameLines, problemText } from '../problem-text.ts'
import { stateText } from '../state-text.ts'
import { padEnd } from '../text-width.ts'
import { wireNamespace } from '../wire.ts'
import type { WireFunction } from '../wire.ts'

/** One function: what is wanted, what is there, and why they differ. */
export const describe = defineCommand({
  args: '<name>',
  examples: ['m-search', 'm-search --json'],
  async run(context, [name = '']) {
    const { print } = context
    const { client, stack } = await findGatewayAndStack(context, { strict: false })
    const known = stack?.functions.find(({ spec }) => spec.name === name)?.spec
    const namespace = wireNamespace(known ?? {}, context.flags.namespace)
    const fn = await client.get(name, namespace, true)
    // A single status need not count invocations (contract 1.7): the list does.
    const listed = (await client.list(namespace)).find((one) => one.name === fn.name)
    const whole: WireFunction = { ...fn, invocationCount: listed?.invocationCount ?? fn.invocationCount ?? 0 }
    if (print.json) print.value({ ...whole, ...faasCliFields(whole, functionUrl(client.url, fn)) })
    else
      for (const [key, value] of rows(whole, client.url, stateText(whole, print.colors)))
        print.line(`${padEnd(`${key}:`, 20)}${value}`.trimEnd())
    return 0
  },
})

/** What faas-cli's JSON has besides, under faas-cli's names, for scripts that read them. */
function faasCliFields(fn: WireFunction, url: string): Record<string, string | number> {
  return {
    Status: (fn.availableReplicas ?? 0) > 0 ? 'Ready' : 'Not Ready',
    InvocationCount: fn.invocationCount ?? 0,
    URL: url,
    AsyncURL: url.replace('/function/', '/async-function/'),
  }
}

function rows(fn: WireFunction, gateway: string, state: string): [string, string][] {
  const url = functionUrl(gateway, fn)
  const all: readonly (readonly [string, string | undefined])[] = [
    ['Name', fn.name],
    ['Namespace', fn.namespace],
    ['State', state],
    ['Problem', fn.problem && indent([problemText(fn.problem), ...frameLines(fn.problem)].join('\n'))],
    ['Remedy', fn.problem && indent(fn.problem.remedy)],
    ['Replicas', String(fn.replicas ?? 0)],
    ['Available replicas', String(fn.availableReplicas ?? 0)],
    ['Invocations', String(fn.invocationCount ?? 0)],
    ['Image', fn.image],
    ['Function process', fn.envProcess],
    ['URL', url],
    ['Async URL', url.replace('/function/', '/async-function/')],
    ['Labels', pairs(fn.labels)],
    ['Annotations', pairs(fn.annotations)],
    ['Environment', pairs(fn.envVars)],
    ['Constraints', fn.constraints?.join(', ')],
    ['Secrets', fn.secrets?.join(', ')],
    ['Requests', pairs({ ...fn.requests })],
    ['Limits', pairs({ ...fn.limits })],
    ['Read-only root', fn.readOnlyRootFilesystem ? 'yes' : undefined],
    ['CPU', fn.usage?.cpu === undefined ? undefined : `${Math.round(fn.usage.cpu)} millicores`],
    ['Memory', fn.usage?.totalMemoryBytes === undefined ? undefined : mebibytes(fn.usage.totalMemoryBytes)],
    ['Revision', fn.revision],
    ['Created', fn.createdAt],
  ]
  return all.flatMap(([key, value]) => (value ? [[key, value]] : []))
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`
}

function pairs(record: Readonly<Record<string, string>> | null | undefined): string {
  return indent(
    Object.entries(record ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join('\n'),
  )
}

function indent(text: string): string {
  return text.replaceAll('\n', `\n${' '.repeat(20)}`)
}
