/** One place where two JSON values differ. Absent is not there; `null` is a value. */
export interface JsonDifference {
  /** As jq writes it: `.results[0].name`; `.` is the whole. */
  readonly path: string
  readonly before?: unknown
  readonly after?: unknown
}

/** Where `after` differs from `before`, place by place; arrays by index. The order of an object's keys does not count. */
export function jsonDifferences(before: unknown, after: unknown, path = '.'): JsonDifference[] {
  if (Object.is(before, after)) return []
  if (Array.isArray(before) && Array.isArray(after)) {
    const places = Array.from({ length: Math.max(before.length, after.length) }, (_, i) => i)
    return places.flatMap((i) =>
      between(
        { isThere: i < before.length, value: before[i] as unknown },
        { isThere: i < after.length, value: after[i] as unknown },
        `${path}[${i}]`,
      ),
    )
  }
  if (isObject(before) && isObject(after)) {
    const keys = new Set([...Object.keys(before), ...Object.keys(after)])
    return [...keys].flatMap((key) =>
      between(
        { isThere: Object.hasOwn(before, key), value: before[key] },
        { isThere: Object.hasOwn(after, key), value: after[key] },
        below(path, key),
      ),
    )
  }
  return [{ path, before, after }]
}

interface Side {
  readonly isThere: boolean
  readonly value: unknown
}

function between(before: Side, after: Side, path: string): JsonDifference[] {
  if (before.isThere && after.isThere) return jsonDifferences(before.value, after.value, path)
  return [
    { path, ...(before.isThere && { before: before.value }), ...(after.isThere && { after: after.value }) },
  ]
}

function below(path: string, key: string): string {
  if (!/^[A-Za-z_]\w*$/.test(key)) return `${path}[${JSON.stringify(key)}]`
  return path === '.' ? `.${key}` : `${path}.${key}`
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
