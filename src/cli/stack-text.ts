import { FaasError } from '../core/errors.ts'
import type { Resources } from '../core/function.ts'

/** A function as `new` writes it. */
export interface NewFunction {
  readonly name: string
  readonly lang: string
  /** As the stack file says it: relative, with `./`. */
  readonly handler: string
  readonly image: string
  readonly limits?: Resources
  readonly requests?: Resources
}

/** The text of a stack file that holds one function. */
export function newStackText(gateway: string, fn: NewFunction): string {
  return `version: 1.0
provider:
  name: openfaas
  gateway: ${gateway}

functions:
${functionLines(fn, '  ').join('\n')}
`
}

/**
 * `text` with the function added below its `functions:`. The text is edited, not parsed and written again: comments,
 * variables and the author's layout stay as they are. BAD_STACK when there is no such place, BAD_USAGE when a function
 * of that name is there.
 */
export function addFunction(text: string, file: string, fn: NewFunction): string {
  const lines = text.split(/\r?\n/)
  const head = lines.findIndex((line) => /^functions:\s*(#.*)?$/.test(line))
  if (head < 0)
    throw new FaasError('BAD_STACK', {
      message: `${file} has no line "functions:" that ${fn.name} could be added below`,
      remedy: `Add this by hand:\nfunctions:\n${functionLines(fn, '  ').join('\n')}`,
    })
  const after = lines.findIndex((line, index) => index > head && /^[^\s#]/.test(line))
  const block = lines.slice(head + 1, after < 0 ? lines.length : after)
  const indent = /^( +)[^\s#]/.exec(block.find((line) => /^ +[^\s#]/.test(line)) ?? '')?.[1] ?? '  '
  if (block.some((line) => isKey(line, indent, fn.name)))
    throw new FaasError('BAD_USAGE', {
      message: `${file} has a function ${JSON.stringify(fn.name)} already`,
      remedy: 'Choose another name.',
    })
  const last = block.findLastIndex((line) => /^\s+\S/.test(line))
  const end = head + 1 + last + 1
  return [...lines.slice(0, end), '', ...functionLines(fn, indent), ...lines.slice(end)]
    .join('\n')
    .replace(/\n*$/, '\n')
}

function isKey(line: string, indent: string, name: string): boolean {
  return line.startsWith(indent) && /^(["']?)([\w.-]+)\1\s*:/.exec(line.slice(indent.length))?.[2] === name
}

function functionLines(fn: NewFunction, indent: string): string[] {
  const inner = indent + indent
  return [
    `${indent}${fn.name}:`,
    `${inner}lang: ${fn.lang}`,
    `${inner}handler: ${fn.handler}`,
    `${inner}image: ${fn.image}`,
    ...resourceLines('limits', fn.limits, inner, indent),
    ...resourceLines('requests', fn.requests, inner, indent),
  ]
}

function resourceLines(
  key: string,
  resources: Resources | undefined,
  inner: string,
  indent: string,
): string[] {
  if (!resources) return []
  return [
    `${inner}${key}:`,
    ...Object.entries(resources).map(([name, value]) => `${inner}${indent}${name}: ${value}`),
  ]
}
