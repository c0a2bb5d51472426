'use strict'

const assert = require('node:assert')
const { createServer } = require('node:http')
const { after, before, test } = require('node:test')

let server
let handler
before(async () => {
  // One server plays both the third-party API and the gateway.
  server = createServer((req, res) => {
    const url = new URL(req.url, 'http://test')
    if (url.pathname === '/function/pinyin') {
      req.setEncoding('utf8')
      req.on('data', (text) => res.end(text === '中文' ? 'zhong wen\n' : `${text}\n`))
      return
    }
    if (url.searchParams.get('q') === 'broken') res.statusCode = 500
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify({ results: [{ title: `about ${url.searchParams.get('q')}` }] }))
  })
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  const url = `http://127.0.0.1:${server.address().port}`
  process.env.API_URL = `${url}/search`
  process.env.GATEWAY_URL = url
  handler = require('./handler.js')
})
after(() => server.close())

async function call(query) {
  const answer = { status: 200 }
  const context = {
    status: (code) => Object.assign(context, { code: (answer.status = code) }),
    headers: () => context,
    succeed: (body) => Object.assign(answer, { body }),
  }
  await handler({ query, headers: {} }, context)
  return answer
}

test('joins what the API found with the pinyin of the query', async () => {
  const { status, body } = await call({ q: '中文' })
  assert.strictEqual(status, 200)
  assert.strictEqual(body.pinyin, 'zhong wen')
  assert.deepStrictEqual(body.results, [{ title: 'about 中文' }])
})

test('asks for a query where there is none', async () => {
  assert.strictEqual((await call({})).status, 400)
})

test('an API that fails is a 502, with the cause', async () => {
  const { status, body } = await call({ q: 'broken' })
  assert.strictEqual(status, 502)
  assert.match(body.cause, /500/)
})
