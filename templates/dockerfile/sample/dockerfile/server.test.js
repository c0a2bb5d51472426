'use strict'
// Runs when the image is built, and by hand: node server.test.js

const assert = require('node:assert')
const { get } = require('node:http')

process.env.port = '0'
const server = require('./server')

function ask(path) {
  return new Promise((resolve, reject) => {
    const call = get({ port: server.address().port, path, agent: false }, (res) => {
      let body = ''
      res.on('data', (chunk) => (body += chunk))
      res.on('end', () => resolve({ status: res.statusCode, body }))
    })
    call.on('error', reject)
  })
}

async function main() {
  assert.strictEqual((await ask('/_/health')).status, 200)
  const answer = await ask('/hello')
  assert.strictEqual(answer.status, 200)
  assert.notStrictEqual(answer.body, '')
  console.log('ok: the server answers')
}

server.once('listening', () => {
  main().then(
    () => process.exit(0),
    (error) => {
      console.error(error)
      process.exit(1)
    },
  )
})
