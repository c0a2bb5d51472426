'use strict'
// Runs when the image is built, and by hand: npm test

const assert = require('assert')
const handler = require('./handler')

async function main() {
  const sent = { status: 200 }
  const context = {
    status(code) {
      sent.status = code
      return context
    },
    headers() {
      return context
    },
    succeed(body) {
      sent.body = body
    },
    fail(error) {
      throw error
    },
  }
  const event = { body: 'hello', headers: { 'content-type': 'text/plain' }, method: 'POST', query: {}, path: '/' }
  const returned = await handler(event, context)

  assert.strictEqual(sent.status, 200)
  assert.notStrictEqual(sent.body === undefined ? returned : sent.body, undefined, 'the handler gave no answer')
  console.log('ok: the handler answers')
}

main().catch((error) => {
  console.error(error)
  process.exit(1)
})
