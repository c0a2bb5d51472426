'use strict'

const assert = require('assert')
const handler = require('./handler')

async function answersWithTheBody() {
  let answer
  const context = {
    status() {
      return this
    },
    succeed(value) {
      answer = value
    },
  }
  await handler({ body: { a: 1 }, headers: { 'content-type': 'application/json' } }, context)
  assert.deepStrictEqual(answer, { body: '{"a":1}', 'content-type': 'application/json' })
}

answersWithTheBody().catch((error) => {
  console.error(error)
  process.exit(1)
})
