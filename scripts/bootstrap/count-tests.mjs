/** In the title of every group of tests that needs Docker; test/support/docker.ts puts it there. */
const DOCKER_MARK = '[docker]'

/**
 * Counts vitest's JSON report, which leaves out files that could not even be loaded, and errors outside of tests.
 * `status` is vitest's exit status.
 */
export function countTests(report, status) {
  const notes = []
  if (!report) {
    return {
      passed: 0,
      failed: 1,
      skipped: 0,
      withoutDocker: 0,
      notes: ['vitest left no report: it did not get to an end'],
    }
  }
  let passed = 0
  let failed = 0
  let skipped = 0
  let withoutDocker = 0
  for (const file of report.testResults) {
    const tests = file.assertionResults
    passed += tests.filter((test) => test.status === 'passed').length
    const failures = tests.filter((test) => test.status === 'failed').length
    failed += failures
    if (file.status === 'failed' && failures === 0) {
      failed++
      notes.push(`counted as failed, because it could not be run: ${file.name}`)
    }
    const left = tests.filter((test) => test.status !== 'passed' && test.status !== 'failed')
    skipped += left.length
    withoutDocker += left.filter((test) =>
      test.ancestorTitles.some((title) => title.endsWith(DOCKER_MARK)),
    ).length
  }
  if (status !== 0 && failed === 0) {
    failed++
    notes.push('counted as failed: vitest reported an error outside of any test, or found no test')
  }
  return { passed, failed, skipped, withoutDocker, notes }
}
