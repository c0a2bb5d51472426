// `npm run bench -- SUITE [--quick] [--json FILE]`: runs one suite against the built program and reports ratios.
import { execFileSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const FOLDER = dirname(fileURLToPath(import.meta.url))
const SUITES = readdirSync(join(FOLDER, 'suites')).map((file) => file.replace(/\.mjs$/, ''))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } },
})
const [suite, ...more] = positionals
if (suite === undefined || !SUITES.includes(suite) || more.length > 0) {
  console.error(
    `expected one suite: npm run bench -- SUITE [--quick] [--json FILE]; there are: ${SUITES.join(', ')}`,
  )
  process.exit(2)
}

const { bootstrap } = await import('../scripts/bootstrap.mjs')
await bootstrap()
const { run } = await import(pathToFileURL(join(FOLDER, 'suites', `${suite}.mjs`)).href)
const results = await run({ quick: values.quick })

for (const { name, unit, median, p95, n, baseline, ratio } of results) {
  const against = baseline
    ? `   ${ratio.toFixed(2)}× ${baseline.name} (${round(baseline.median)} ${unit})`
    : ''
  console.log(`${name.padEnd(44)} median ${round(median)} ${unit}   p95 ${round(p95)}   n ${n}${against}`)
}
if (values.json !== undefined) {
  const machine = `${process.platform} ${process.arch}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}`
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: FOLDER, encoding: 'utf8' }).trim()
  writeFileSync(values.json, `${JSON.stringify({ suite, machine, commit, results }, null, 2)}\n`)
}

function round(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
