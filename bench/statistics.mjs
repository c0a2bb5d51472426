/** One result of a suite. `baseline` was measured in the same run; a ratio above 1 means better than it. */
export function result({ name, unit, samples, baseline, better = 'lower' }) {
  const sorted = samples.toSorted((a, b) => a - b)
  const median = quantile(sorted, 0.5)
  const entry = {
    name,
    unit,
    median,
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
    n: sorted.length,
  }
  if (baseline === undefined) return entry
  const other = quantile(
    baseline.samples.toSorted((a, b) => a - b),
    0.5,
  )
  const ratio = better === 'lower' ? other / median : median / other
  return { ...entry, baseline: { name: baseline.name, median: other }, ratio }
}

function quantile(sorted, q) {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
}
