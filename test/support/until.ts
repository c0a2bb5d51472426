import { setTimeout as wait } from 'node:timers/promises'

interface Patience {
  readonly limitMs?: number
  readonly everyMs?: number
  /** What did not happen, for the failure. */
  readonly what?: () => string
}

/** Polls until `look` gives something other than undefined or false. What `look` throws is thrown at once. */
export async function until<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  { limitMs = 30_000, everyMs = 50, what = () => 'it' }: Patience = {},
): Promise<T> {
  const end = performance.now() + limitMs
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > end) throw new Error(`did not happen within ${limitMs / 1000} s: ${what()}`)
    await wait(everyMs)
  }
}

/** Polls until `check` no longer throws; its last words are the failure. */
export async function untilPasses(check: () => void | Promise<void>, patience: Patience = {}): Promise<void> {
  let last: unknown
  await until(
    async () => {
      try {
        await check()
        return true
      } catch (error) {
        last = error
        return false
      }
    },
    { ...patience, what: () => (last instanceof Error ? last.message : String(last)) },
  )
}
