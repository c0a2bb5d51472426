import type { Option } from 'commander'

const TRUE = new Set(['1', 't', 'T', 'true', 'TRUE', 'True'])
const FALSE = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False'])

/**
 * Rewrites switches as faas-cli's users type them, `--tail=false` and `--envsubst=true`, to `--no-tail` and
 * `--envsubst`. Only switches among `options` are touched, and nothing behind `--`.
 */
export function rewriteSwitches(argv: readonly string[], options: readonly Option[]): string[] {
  const out: string[] = []
  for (const [index, arg] of argv.entries()) {
    if (arg === '--') return [...out, ...argv.slice(index)]
    out.push(...rewrite(arg, options))
  }
  return out
}

function rewrite(arg: string, options: readonly Option[]): string[] {
  const match = /^(--?[A-Za-z][\w-]*)=(\w+)$/.exec(arg)
  const [, name = '', value = ''] = match ?? []
  const option = options.find((one) => one.isBoolean() && (one.long === name || one.short === name))
  if (!option || !(TRUE.has(value) || FALSE.has(value))) return [arg]
  if (TRUE.has(value)) return [name]
  const opposite = option.long?.startsWith('--no-')
    ? option.long.replace('--no-', '--')
    : option.long?.replace('--', '--no-')
  // Without an opposite the switch is off unless it is given.
  return opposite !== undefined && options.some((one) => one.long === opposite) ? [opposite] : []
}
