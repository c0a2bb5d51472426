export interface LineChange {
  readonly kind: 'removed' | 'added'
  /** From 1: of the text that it is in. */
  readonly line: number
  readonly text: string
}

/** Pairs of lines that are compared at most; beyond them all lines between the equal ends count as changed. */
const MOST_PAIRS = 4_000_000

/** The fewest lines to take out of `before` and put in to get `after`. */
export function lineDifferences(before: string, after: string): LineChange[] {
  const [a, b] = [before.split('\n'), after.split('\n')]
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let end = 0
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)]
  const common = left.length * right.length > MOST_PAIRS ? undefined : commonLengths(left, right)
  const changes: LineChange[] = []
  let [i, j] = [0, 0]
  while (i < left.length || j < right.length) {
    if (common && i < left.length && j < right.length && left[i] === right[j]) {
      i++
      j++
    } else if (
      i < left.length &&
      (j === right.length || !common || lengthAt(common, i + 1, j) >= lengthAt(common, i, j + 1))
    )
      changes.push({ kind: 'removed', line: start + i + 1, text: left[i++] ?? '' })
    else changes.push({ kind: 'added', line: start + j + 1, text: right[j++] ?? '' })
  }
  return changes
}

interface Lengths {
  readonly width: number
  readonly cells: Uint32Array
}

/** Of the longest sequence of lines that both have from (i, j) on. */
function commonLengths(a: readonly string[], b: readonly string[]): Lengths {
  const width = b.length + 1
  const cells = new Uint32Array((a.length + 1) * width)
  const lengths = { width, cells }
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      cells[i * width + j] =
        a[i] === b[j]
          ? lengthAt(lengths, i + 1, j + 1) + 1
          : Math.max(lengthAt(lengths, i + 1, j), lengthAt(lengths, i, j + 1))
  return lengths
}

function lengthAt({ width, cells }: Lengths, i: number, j: number): number {
  return cells[i * width + j] ?? 0
}
