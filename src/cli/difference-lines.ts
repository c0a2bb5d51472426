import type { Colors } from 'picocolors/types.js'
import type { AnswerDifference, BodyDifference } from './answer-difference.ts'
import { terminalText } from './terminal-text.ts'
import { fit, padEnd } from './text-width.ts'

/** Of a body, so many differences are shown; all of them are in the JSON. */
const MOST_SHOWN = 40
const VALUE_COLUMNS = 60

/** A difference for people: what was in red, what is in green. */
export function differenceLines(difference: AnswerDifference, colors: Colors): string[] {
  const { status, ending, headers, body } = difference
  const was = (text: string): string => colors.red(terminalText(text, false))
  const is = (text: string): string => colors.green(terminalText(text, false))
  const both = (before: string | undefined, after: string | undefined): string =>
    before === undefined
      ? is(`+ ${after ?? ''}`)
      : after === undefined
        ? was(`- ${before}`)
        : `${was(before)} → ${is(after)}`
  const lines: string[] = []
  if (status) lines.push(row('status', both(String(status.before || 'none'), String(status.after || 'none'))))
  if (ending) lines.push(row('ending', both(ending.before, ending.after)))
  for (const { name, before, after } of headers)
    lines.push(row('header', `${terminalText(name, false)}: ${both(before, after)}`))
  if (body) lines.push(...bodyLines(body, both))
  return lines
}

function bodyLines(
  body: BodyDifference,
  both: (before: string | undefined, after: string | undefined) => string,
): string[] {
  if (body.kind === 'binary') return [row('body', both(body.before, body.after))]
  const { changes } = body
  const lines =
    body.kind === 'json'
      ? body.changes
          .slice(0, MOST_SHOWN)
          .map((change) =>
            row(
              'body',
              `${terminalText(change.path, false)}  ${both(
                'before' in change ? valueText(change.before) : undefined,
                'after' in change ? valueText(change.after) : undefined,
              )}`,
            ),
          )
      : body.changes
          .slice(0, MOST_SHOWN)
          .map(({ kind, text }) =>
            row('body', kind === 'removed' ? both(text, undefined) : both(undefined, text)),
          )
  const more = changes.length - MOST_SHOWN
  return more > 0 ? [...lines, row('', `… and ${more} more; all of them with --json`)] : lines
}

function row(what: string, text: string): string {
  return `  ${padEnd(what, 8)}${text}`
}

function valueText(value: unknown): string {
  return fit(JSON.stringify(value), VALUE_COLUMNS)
}
