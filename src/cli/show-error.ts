import type { Colors } from 'picocolors/types.js'
import { asFaasError, FaasError } from '../core/errors.ts'

/** The lines that say an error: code and fact, its evidence indented, then the remedy on a line of its own. */
export function errorLines(error: unknown, colors: Colors): string[] {
  const { code, message, remedy } = asFaasError(error)
  const [fact = '', ...evidence] = message.split('\n')
  return [
    `${colors.red('error')} ${colors.bold(code)}: ${fact}`,
    ...evidence.map((line) => `  ${line}`),
    ...remedy.split('\n').map((line, index) => colors.cyan(index === 0 ? `→ ${line}` : `  ${line}`)),
  ]
}

/** The same for programs: one JSON object. */
export function errorJson(error: unknown): { error: { code: string; message: string; remedy: string } } {
  const { code, message, remedy } = asFaasError(error)
  return { error: { code, message, remedy } }
}

/** What led to a defect: stack and causes, for `--verbose`. */
export function errorTrail(error: unknown): string[] {
  const lines: string[] = []
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const label = at instanceof FaasError ? `${at.name} ${at.code}` : at.name
    lines.push(...(at.stack ?? `${label}: ${at.message}`).split('\n'))
    if (at.cause !== undefined) lines.push('caused by')
  }
  return lines
}
