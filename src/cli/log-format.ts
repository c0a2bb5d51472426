import type { Colors } from 'picocolors/types.js'
import { makeNameColors } from './name-colors.ts'
import type { WireLog } from './wire.ts'

export const LOG_FORMATS = ['plain', 'keyvalue', 'json'] as const
export const TIME_FORMATS = ['rfc3339', 'local', 'none'] as const

export interface LogLook {
  readonly format: (typeof LOG_FORMATS)[number]
  readonly time: (typeof TIME_FORMATS)[number]
  /** Say the function's name; needed as soon as there are several. */
  readonly name: boolean
  readonly instance: boolean
}

/** Makes the writer of log lines: one line of text for each. */
export function makeLogFormat(
  { format, time, name, instance }: LogLook,
  colors: Colors,
): (log: WireLog) => string {
  const colorOf = makeNameColors(colors)
  switch (format) {
    case 'json':
      return (log) => JSON.stringify(log)
    case 'keyvalue':
      return (log) =>
        Object.entries({
          ...(time === 'none' ? {} : { timestamp: timeText(log.timestamp, time) }),
          ...(name ? { name: log.name } : {}),
          ...(instance ? { instance: log.instance ?? '' } : {}),
          text: log.text,
        })
          .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
          .join(' ')
    case 'plain':
      return (log) =>
        [
          ...(time === 'none' ? [] : [colors.dim(timeText(log.timestamp, time))]),
          ...(name ? [colorOf(log.name)(log.name)] : []),
          ...(instance ? [colors.dim(`(${log.instance ?? ''})`)] : []),
          log.text,
        ].join(' ')
  }
}

function timeText(timestamp: string, time: 'rfc3339' | 'local'): string {
  const date = new Date(timestamp)
  if (time === 'rfc3339' || Number.isNaN(date.getTime())) return timestamp
  return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, '0')}`
}
