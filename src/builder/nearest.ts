/** Differences above this are another word, not a typing mistake. */
const MAX_DISTANCE = 3

/** The names that `wanted` was probably meant to be, best first, at most `count`. Empty when nothing is close. */
export function nearest(wanted: string, names: Iterable<string>, count = 3): readonly string[] {
  const limit = Math.min(MAX_DISTANCE, Math.max(1, Math.floor(wanted.length / 2)))
  return [...new Set(names)]
    .map((name) => ({ name, distance: closeness(wanted.toLowerCase(), name.toLowerCase()) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance || a.name.localeCompare(b.name))
    .slice(0, count)
    .map(({ name }) => name)
}

/** Edit distance; a name that the wanted one begins, or that begins it, counts as one edit (`python` and `python3-http`). */
function closeness(a: string, b: string): number {
  if (a === b) return 0
  if (a.length > 1 && b.length > 1 && (a.startsWith(b) || b.startsWith(a))) return 1
  return editDistance(a, b)
}

/** Levenshtein's distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replace = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replace, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
