/** A work that nobody waits for: what can go wrong in it, it tells itself. */
export function unattended(work: Promise<unknown>): void {
  work.catch(() => undefined)
}
