import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe } from 'vitest'
import { toolsFolder } from '../../scripts/test-tools.mjs'

const ROOT = join(import.meta.dirname, '../..')

/** Path of a program that `npm test` provides or the machine has; undefined where it is neither. */
export function findTool(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), join(toolsFolder(ROOT), 'usr/bin')]
  return folders.map((folder) => join(folder, name)).find(isProgram)
}

/** Path of a program; throws where tests forgot to use `describeWithTools`. */
export function tool(name: string): string {
  const found = findTool(name)
  if (found === undefined) throw new Error(`there is no ${name}: put this test into describeWithTools()`)
  return found
}

/**
 * `describe` for tests that talk to real programs: skipped, and counted like tests without Docker, where one is
 * missing; with REQUIRE_DOCKER=1 that is a failure.
 */
export function describeWithTools(title: string, names: readonly string[], tests: () => void): void {
  const missing = names.filter((name) => findTool(name) === undefined)
  if (missing.length > 0 && process.env['REQUIRE_DOCKER'] === '1')
    throw new Error(
      `REQUIRE_DOCKER=1, but there is no ${missing.join(', ')}; \`npm test\` fetches them on Debian`,
    )
  describe.skipIf(missing.length > 0)(`${title} [docker]`, tests)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
