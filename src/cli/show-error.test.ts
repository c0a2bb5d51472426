import pc from 'picocolors'
import { expect, test } from 'vitest'
import { FaasError } from '../core/errors.ts'
import { errorJson, errorLines } from './show-error.ts'

const plain = pc.createColors(false)
const error = new FaasError('BUILD_FAILED', { message: 'step 3 failed\nnpm ERR!', remedy: 'Fix it.' })

test('an error is its code and fact, its evidence, and the remedy on its own line', () => {
  expect(errorLines(error, plain)).toEqual(['error BUILD_FAILED: step 3 failed', '  npm ERR!', '→ Fix it.'])
})

test('an error that is not ours is a defect and asks for a report', () => {
  const { error: shown } = errorJson(new TypeError('x is undefined'))
  expect(shown.code).toBe('INTERNAL')
  expect(shown.message).toBe('x is undefined')
})
