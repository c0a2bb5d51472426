import type { Colors } from 'picocolors/types.js'
import { formatGoTime } from './go-time.ts'
import { makeNameColors } from './name-colors.ts'
import type { WireLog } from './wire.ts'

export const LOG_FORMATS = ['plain', 'keyvalue', 'json'] as const

/** faas-cli's own: whole seconds. */
export const DEFAULT_TIME_FORMAT = 'rfc3339'
/** Names for forms of the time; anything else is a layout as Go has it, which is what faas-cli takes. */
const LAYOUTS: Readonly<Record<string, string>> = { rfc3339: '2006-01-02T15:04:05Z07:00', none: '' }

export interface LogLook {
  readonly format: (typeof LOG_FORMATS)[number]
  /** `rfc3339`, `rfc3339nano`, `local`, `none`, or a Go layout. */
  readonly time: string
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
      return (log) => {
        const written = timeText(log.timestamp, time)
        return Object.entries({
          ...(written === '' ? {} : { timestamp: written }),
          ...(name ? { name: log.name } : {}),
          ...(instance ? { instance: log.instance ?? '' } : {}),
          text: log.text,
        })
          .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
          .join(' ')
      }
    case 'plain':
      return (log) => {
        const written = timeText(log.timestamp, time)
        return [
          ...(written === '' ? [] : [colors.dim(written)]),
          ...(name ? [colorOf(log.name)(log.name)] : []),
          ...(instance ? [colors.dim(`(${log.instance ?? ''})`)] : []),
          log.text,
        ].join(' ')
      }
  }
}

function timeText(timestamp: string, time: string): string {
  const date = new Date(timestamp)
  if (time === 'rfc3339nano' || (Number.isNaN(date.getTime()) && time !== 'none' && time !== ''))
    return timestamp
  if (time === 'local')
    return `${date.toTimeString().slice(0, 8)}.${String(date.getMilliseconds()).padStart(3, '0')}`
  return formatGoTime(date, LAYOUTS[time] ?? time, /\.(\d+)/.exec(timestamp)?.[1])
}
