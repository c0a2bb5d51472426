import { expect, test } from 'vitest'
import { FaasError } from '../core/errors.ts'
import { atDockerfile } from './dockerfile-place.ts'

const text = `# what it is made of
FROM node:22-alpine
WORKDIR /srv
COPY   nope.js  ./
RUN --mount=type=cache,target=/x apt-get update && \\
    apt-get install --yes this
RUN true
RUN true
CMDD ["node"]
`
const failure = (message: string, code: 'BUILD_FAILED' | 'DISK_FULL' = 'BUILD_FAILED'): FaasError =>
  new FaasError(code, { message, remedy: 'Mend it.' })

test.each([
  ['fn: "/nope.js" not found\nStep 3/3 : COPY nope.js ./', 4],
  ['fn: no\nStep sorted 4/9 : RUN apt-get update && apt-get install --yes this ended with exit code 1', 5],
  ['fn: no\nStep 4/9 : RUN apt-get update && apt-g… ended with exit code 1', 5],
  ['fn: dockerfile parse error line 12: unknown instruction: CMDD', 9],
])('the place of %j is line %i', (message, line) => {
  const dockerfile = { file: '/p/fn/Dockerfile', text }
  expect(atDockerfile(failure(message), dockerfile, '/p')).toMatchObject({
    code: 'BUILD_FAILED',
    message,
    remedy: 'Mend it.',
    place: { file: '/p/fn/Dockerfile', line },
  })
})

test.each([
  ['what is written twice', failure('fn: no\nStep 5/9 : RUN true ended with exit code 1'), '/p'],
  ['what names no instruction', failure('fn: the engine went away'), '/p'],
  ['a template that is not the project’s', failure('fn: no\nStep 3/3 : COPY nope.js ./'), '/q'],
  ['what is no failure of the build', failure('fn: no\nStep 3/3 : COPY nope.js ./', 'DISK_FULL'), '/p'],
])('%s has no place', (_what, error, root) => {
  expect(atDockerfile(error, { file: '/p/fn/Dockerfile', text }, root)).toBe(error)
})
