import { expect, test } from 'vitest'
import { debugTarget } from './debug-target.ts'

const spec = { name: 'a', namespace: 'openfaas-fn', image: 'a', labels: {}, annotations: {} }
const nothing = { labels: {}, env: new Map<string, string>(), command: [], folder: '' }
const handler = '/home/app/function'

test.each([
  [
    { labels: { 'com.faasdock.template': 'node' }, env: new Map([['fprocess', 'node index.js']]) },
    'node',
    handler,
  ],
  [
    { labels: { 'com.faasdock.template': 'python3' }, env: new Map([['fprocess', 'python3 index.py']]) },
    'python',
    handler,
  ],
  [{ env: new Map([['fprocess', 'node index.js']]), command: ['fwatchdog'] }, 'node', handler],
  [{ env: new Map([['fprocess', 'python index.py']]), command: ['fwatchdog'] }, 'python', handler],
  [{ command: ['docker-entrypoint.sh', 'node', 'server.js'], folder: '/app' }, 'node', '/app'],
  [{ command: ['/usr/local/bin/node', 'server.js'] }, 'node', '/'],
  [{ command: ['npm', 'start'], folder: '/srv' }, 'node', '/srv'],
  [{ command: ['gunicorn', 'app:app'], folder: '/srv' }, 'python', '/srv'],
  [{ command: ['python3.12', '-m', 'app'], folder: '/srv' }, 'python', '/srv'],
])('%j is debugged as %s, in %s', (facts, language, folder) => {
  expect(debugTarget(spec, { ...nothing, ...facts })).toMatchObject({ language, folder })
})

const debugpy = '-m debugpy --listen 127.0.0.1:5678'
test.each([
  [
    { env: new Map([['fprocess', 'python index.py']]) },
    `add debugpy to its requirements.txt, and set in the stack file fprocess: python ${debugpy} index.py`,
  ],
  [
    { command: ['/usr/bin/python3.12', '-m', 'app'] },
    `add debugpy to its requirements.txt, and end its Dockerfile with CMD /usr/bin/python3.12 ${debugpy} -m app`,
  ],
  [
    { command: ['/usr/bin/gunicorn', 'app:app'] },
    `add debugpy to its requirements.txt, and end its Dockerfile with CMD python ${debugpy} -m gunicorn app:app`,
  ],
  [{ command: ['python3', '-m', 'debugpy', '--listen', '5678', 'app.py'] }, undefined],
  [
    { labels: { 'com.faasdock.template': 'python3' }, env: new Map([['fprocess', 'python3 index.py']]) },
    undefined,
  ],
  [{ command: ['node', 'server.js'] }, undefined],
])('what Python lacks to be debugged is said exactly: %j', (facts, lacks) => {
  expect(debugTarget(spec, { ...nothing, ...facts })?.lacks).toBe(lacks)
})

test.each([
  [{}],
  [{ command: ['./handler'], env: new Map([['NODE_ENV', 'production']]) }],
  [{ labels: { 'com.faasdock.template': 'go' }, command: ['/home/app/handler'] }],
  [{ env: new Map([['fprocess', 'cat']]) }],
])('%j is not debugged', (facts) => {
  expect(debugTarget(spec, { ...nothing, ...facts })).toBeUndefined()
})

test('a process that the deployment names counts, not the image’s', () => {
  const image = { ...nothing, env: new Map([['fprocess', 'node index.js']]) }
  expect(debugTarget({ ...spec, envProcess: 'python3 index.py' }, image)?.language).toBe('python')
})
