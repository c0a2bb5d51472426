/** The parts of a time layout as Go writes it: the reference time is 2006-01-02 15:04:05 -0700. Longest first. */
const PARTS =
  /January|Monday|2006|-07:00|Z07:00|-0700|Z0700|[.,](?:0+|9+)(?!\d)|MST|Jan|Mon|01|02|03|04|05|06|15|_2|PM|pm|1|2|3|4|5/g

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

/**
 * A moment in Go's way of formatting, which faas-cli's `--time-format` takes. As there, a moment keeps the zone that it
 * was written in; gateways write UTC, so that is the zone here. `fraction`: its decimals, as many as there are.
 */
export function formatGoTime(date: Date, layout: string, fraction = ''): string {
  return layout.replace(PARTS, (part) => valueOf(part, date, fraction))
}

function valueOf(part: string, date: Date, fraction: string): string {
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = DAYS[date.getUTCDay()] ?? ''
  const month = MONTHS[date.getUTCMonth()] ?? ''
  const hour = date.getUTCHours()
  if (/^[.,]/.test(part)) return fractionOf(part, fraction)
  switch (part) {
    case '2006':
      return String(date.getUTCFullYear()).padStart(4, '0')
    case '06':
      return two(date.getUTCFullYear() % 100)
    case 'January':
      return month
    case 'Jan':
      return month.slice(0, 3)
    case '01':
      return two(date.getUTCMonth() + 1)
    case '1':
      return String(date.getUTCMonth() + 1)
    case 'Monday':
      return day
    case 'Mon':
      return day.slice(0, 3)
    case '02':
      return two(date.getUTCDate())
    case '_2':
      return String(date.getUTCDate()).padStart(2, ' ')
    case '2':
      return String(date.getUTCDate())
    case '15':
      return two(hour)
    case '03':
      return two(hour % 12 || 12)
    case '3':
      return String(hour % 12 || 12)
    case '04':
      return two(date.getUTCMinutes())
    case '4':
      return String(date.getUTCMinutes())
    case '05':
      return two(date.getUTCSeconds())
    case '5':
      return String(date.getUTCSeconds())
    case 'PM':
      return hour < 12 ? 'AM' : 'PM'
    case 'pm':
      return hour < 12 ? 'am' : 'pm'
    case 'MST':
      return 'UTC'
    case '-07:00':
      return '+00:00'
    case '-0700':
      return '+0000'
    default:
      // Z07:00 and Z0700
      return 'Z'
  }
}

/** `.000` has that many decimals, `.999` at most so many and no zeros at the end. */
function fractionOf(part: string, fraction: string): string {
  const digits = fraction.padEnd(part.length - 1, '0').slice(0, part.length - 1)
  if (part.endsWith('0')) return `${part[0] ?? ''}${digits}`
  const short = digits.replace(/0+$/, '')
  return short === '' ? '' : `${part[0] ?? ''}${short}`
}
