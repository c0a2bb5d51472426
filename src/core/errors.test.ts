import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { asFaasError, ERROR_CODES, FaasError } from './errors.ts'

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')

test('docs/errors.md has a section for every code, in order, and none for a code that is gone', () => {
  const sections = [...page.matchAll(/^## (\S+)$/gm)].map(([, code]) => code)
  expect(sections).toEqual(Object.keys(ERROR_CODES))
})

test.each(Object.entries(ERROR_CODES))(
  'docs/errors.md says when %s happens, and what to do then',
  (code, when) => {
    const section = page.split(`## ${code}\n`)[1]?.split('\n## ')[0] ?? ''
    expect(section).toContain(when)
    expect(section.replace(when, '').trim().length).toBeGreaterThan(20)
  },
)

test('an error of somebody else becomes INTERNAL, with its cause', () => {
  const cause = new Error('boom')
  expect(asFaasError(cause)).toMatchObject({ code: 'INTERNAL', message: 'boom', cause })
})

test('an error of ours stays what it is', () => {
  const error = new FaasError('STOPPING', { message: 'm', remedy: 'r' })
  expect(asFaasError(error)).toBe(error)
})
