// `npm test`: set-up, then every test there is. Arguments go to vitest: npm test -- --project unit
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bootstrap, ROOT } from './bootstrap.mjs'
import { announce } from './bootstrap/run-tool.mjs'
import { countTests } from './bootstrap/count-tests.mjs'
import { TEST_IMAGES } from './test-images.mjs'
import { provideCompose, provideTools } from './test-tools.mjs'

const args = process.argv.slice(2)
const required = process.env.REQUIRE_DOCKER === '1'

await bootstrap()
if (!unitOnly()) {
  await provideDocker()
  await provideTools(ROOT)
  await provideCompose()
}
const { status, report } = await runVitest(args)
const { passed, failed, skipped, withoutDocker, notes } = countTests(report, status)

for (const note of notes) announce(note)
if (withoutDocker > 0) {
  announce(
    `\n!!! ${withoutDocker} tests that need Docker were SKIPPED: no engine (REQUIRE_DOCKER=1 makes that a failure)\n`,
  )
}
const unseen = required ? withoutDocker : 0
if (unseen > 0) announce(`REQUIRE_DOCKER=1: ${unseen} skipped Docker tests count as failed`)
process.exitCode = failed + unseen > 0 || passed === 0 ? 1 : 0
console.log(
  `${passed} passed, ${failed + unseen} failed${skipped > unseen ? `, ${skipped - unseen} skipped` : ''}`,
)

/** Unit tests need nothing but themselves. */
function unitOnly() {
  return args.some(
    (arg, index) => arg === '--project=unit' || (arg === 'unit' && args[index - 1] === '--project'),
  )
}

/** An engine and the tests' base images. Without them the tests that need Docker are skipped, or fail where they are required. */
async function provideDocker() {
  const { setup } = await import('../dist/setup/setup.js')
  try {
    const host = process.env.FAASDOCK_ENGINE
    const { images } = await setup({
      env: process.env,
      images: TEST_IMAGES,
      announce,
      ...(host !== undefined && { host }),
    })
    for (const { image, state, detail } of images) {
      if (state === 'missing')
        announce(`!!! ${image} is missing (${detail}): tests that build on it will fail`)
    }
  } catch (error) {
    if (error.code === undefined || error.remedy === undefined) throw error
    announce(`!!! ${error.code}: ${error.message}\n${error.remedy}`)
    announce(
      required ? 'REQUIRE_DOCKER=1: tests that need Docker will fail' : 'Tests that need Docker are skipped',
    )
  }
}

function runVitest(extra) {
  const folder = mkdtempSync(join(tmpdir(), 'faasdock-test-'))
  const file = join(folder, 'report.json')
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const child = spawn(process.execPath, [vitest, 'run', ...reporters, ...extra], {
    cwd: ROOT,
    stdio: 'inherit',
  })
  // A Ctrl-C reaches vitest as well; it cleans up, and then there is something to count.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  return new Promise((resolve) => {
    child.once('close', (status) => {
      resolve({ status: status ?? 1, report: readReport(file) })
      rmSync(folder, { recursive: true, force: true })
    })
  })
}

function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}
