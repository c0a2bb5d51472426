'use strict'

const assert = require('node:assert')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { after, before, test } = require('node:test')
const handler = require('./handler.js')

let folder
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'm-notice-'))
  writeFileSync(join(folder, 'mobile-token'), 'ann.one')
  process.env.secret_mount_path = folder
})
after(() => rmSync(folder, { recursive: true }))

async function call(headers) {
  const answer = {}
  const context = {
    status: (code) => Object.assign(context, { code: (answer.status = code) }),
    headers: () => context,
    succeed: (body) => Object.assign(answer, { body }),
  }
  await handler({ headers, query: {} }, context)
  return answer
}

test('shows notices to a known user', async () => {
  const { status, body } = await call({ authorization: 'Bearer ann.one' })
  assert.strictEqual(status, 200)
  assert.strictEqual(body.user, 'ann')
  assert.ok(body.notices.length > 0)
})

test('shows nothing to anybody else', async () => {
  const { status, body } = await call({})
  assert.strictEqual(status, 401)
  assert.strictEqual(body.notices, undefined)
})
