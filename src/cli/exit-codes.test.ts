import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ERROR_CODES } from '../core/errors.ts'
import type { ErrorCode } from '../core/errors.ts'
import { EXIT, exitCodeOf, exitCodeOfAll } from './exit-codes.ts'

const codes = Object.keys(ERROR_CODES) as ErrorCode[]

test('docs/cli.md places every error code under its exit code', () => {
  const text = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')
  const placed = new Map<string, number>()
  for (const [, exit, cell] of text.matchAll(/^\| `(\d+)`\s*\|[^|]*\|([^|]*)\|$/gm))
    for (const [, code] of (cell ?? '').matchAll(/`([A-Z_]+)`/g)) placed.set(code ?? '', Number(exit))
  expect(Object.fromEntries(placed)).toEqual(
    Object.fromEntries(codes.map((code) => [code, exitCodeOf(code)])),
  )
})

test('several failures end with the code they share, else with 1', () => {
  expect(exitCodeOfAll([])).toBe(EXIT.ok)
  expect(exitCodeOfAll(['BUILD_FAILED', 'BUILD_FAILED'])).toBe(EXIT.buildFailed)
  expect(exitCodeOfAll(['BUILD_FAILED', 'HANDLER_NOT_FOUND'])).toBe(EXIT.failed)
})
