'use strict'
// The third-party API of the sample: GET /search?q=… answers what it "found".

const { createServer } = require('node:http')

const server = createServer((req, res) => {
  const url = new URL(req.url, 'http://upstream')
  const q = url.searchParams.get('q')
  const found = url.pathname === '/search' && q !== null
  const body = found
    ? { query: q, results: [`${q}: an introduction`, `${q} for travellers`].map((title, i) => ({ id: i + 1, title })) }
    : { error: 'GET /search?q=…' }
  res.writeHead(found || url.pathname === '/_/health' ? 200 : 404, { 'Content-Type': 'application/json' })
  res.end(JSON.stringify(body))
})

server.listen(8080)
process.on('SIGTERM', () => server.close(() => process.exit(0)))
