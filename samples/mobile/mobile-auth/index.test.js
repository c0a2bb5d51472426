'use strict'

const assert = require('node:assert')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { after, before, test } = require('node:test')
const { optionalAuth, requireAuth } = require('./index.js')

let folder
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'mobile-auth-'))
  writeFileSync(join(folder, 'mobile-token'), 'ann.one\nbob.two\n')
  process.env.secret_mount_path = folder
})
after(() => rmSync(folder, { recursive: true }))

function answerOf() {
  const answer = { code: 200 }
  const context = {
    status: (code) => Object.assign(context, { code: (answer.code = code) }),
    headers: () => context,
    succeed: (body) => Object.assign(answer, { body }),
  }
  return { answer, context }
}

const call = (authorization) => ({ headers: authorization ? { authorization } : {} })

test('a caller without a token is answered 401 and the handler is not reached', async () => {
  const { answer, context } = answerOf()
  await requireAuth(() => assert.fail('reached'))(call(), context)
  assert.strictEqual(answer.code, 401)
})

test('a wrong token is no token', async () => {
  const { answer, context } = answerOf()
  await requireAuth(() => assert.fail('reached'))(call('Bearer ann.two'), context)
  assert.strictEqual(answer.code, 401)
})

test('the handler learns who is calling', async () => {
  const { context } = answerOf()
  const auth = await requireAuth((event) => event.auth)(call('Bearer bob.two'), context)
  assert.deepStrictEqual(auth, { user: 'bob', token: 'bob.two' })
})

test('optional: anybody gets in, and only a valid token gives a user', async () => {
  const { context } = answerOf()
  assert.strictEqual(await optionalAuth((event) => event.auth)(call(), context), undefined)
  assert.strictEqual((await optionalAuth((event) => event.auth)(call('Bearer ann.one'), context)).user, 'ann')
})
