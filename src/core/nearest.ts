/** The candidates that were probably meant by `word`, best first, at most `count`. Case, `-` and `_` do not count. */
export function nearest(word: string, candidates: Iterable<string>, count = 3): readonly string[] {
  const wanted = plain(word)
  if (wanted === '') return []
  const allowed = Math.min(3, Math.ceil(wanted.length / 3))
  return [...new Set(candidates)]
    .map((candidate) => ({ candidate, distance: distanceOf(wanted, plain(candidate), allowed) }))
    .filter(({ distance }) => distance <= allowed)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, count)
    .map(({ candidate }) => candidate)
}

/** A beginning counts as far as a name may be: after all that is near, but named. */
function distanceOf(wanted: string, candidate: string, allowed: number): number {
  const distance = editDistance(wanted, candidate)
  return distance > allowed && oneBeginsTheOther(wanted, candidate) ? allowed : distance
}

/** `env` means `environment`, `language` means `lang`. */
function oneBeginsTheOther(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= 3 && (a.startsWith(b) || b.startsWith(a))
}

function plain(word: string): string {
  return word.toLowerCase().replace(/[-_]/g, '')
}

/** Insertions, deletions, replacements and swaps of neighbours that lead from `a` to `b`. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current.push(
        Math.min(
          (last[column] ?? Infinity) + 1,
          (current[column - 1] ?? Infinity) + 1,
          (last[column - 1] ?? Infinity) + (same ? 0 : 1),
          swapped ? (beforeLast[column - 2] ?? Infinity) + 1 : Infinity,
        ),
      )
    }
    beforeLast = last
    last = current
  }
  return last[b.length] ?? 0
}
