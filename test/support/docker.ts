import { describe } from 'vitest'
import { findEngine } from '../../src/docker/find-engine.ts'
import type { EngineAddress } from '../../src/docker/find-engine.ts'

const host = process.env['FAASDOCK_ENGINE']
const { engine, attempts } = await findEngine({ env: process.env, ...(host !== undefined && { host }) })

/** Whether an engine answers, found as the product finds it. */
export const dockerAvailable = engine !== undefined

if (!dockerAvailable && process.env['REQUIRE_DOCKER'] === '1') {
  throw new Error(
    `REQUIRE_DOCKER=1, but no engine answers: ${attempts.map(({ address, detail }) => `${address}: ${detail}`).join('; ')}`,
  )
}

/** Where the engine is; throws where tests forgot to use `describeDocker`. */
export function dockerAddress(): EngineAddress {
  if (engine) return engine
  throw new Error('no engine answers: put this test into describeDocker()')
}

/**
 * `describe` for tests that need an engine: skipped where there is none, and `npm test` counts them by the mark in
 * their title and says so loudly. With REQUIRE_DOCKER=1 a missing engine fails the file instead.
 */
export function describeDocker(title: string, tests: () => void): void {
  describe.skipIf(!dockerAvailable)(`${title} [docker]`, tests)
}
