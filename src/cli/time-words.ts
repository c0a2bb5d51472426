import { FaasError } from '../core/errors.ts'

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

/** Milliseconds of a duration as OpenFaaS writes it (`10m`, `1h2m3.5s`, `250ms`), or of plain seconds. BAD_USAGE. */
export function parseDuration(text: string, flag: string): number {
  const trimmed = text.trim()
  if (/^[0-9]+(\.[0-9]+)?$/.test(trimmed)) return Number(trimmed) * 1000
  const parts = [...trimmed.matchAll(/([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)/g)]
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== trimmed)
    throw new FaasError('BAD_USAGE', {
      message: `${flag} ${JSON.stringify(text)} is not a duration`,
      remedy: 'Write it as numbers with units, e.g. "30s", "10m" or "1h30m".',
    })
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNITS[unit ?? ''] ?? 0), 0)
}

/** A span for people: `24 ms`, `1.2 s`, `2 min 5 s`. */
export function formatSpan(seconds: number): string {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)} min ${whole % 60} s`
}
