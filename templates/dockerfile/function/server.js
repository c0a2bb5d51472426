'use strict'

const { createServer } = require('node:http')

const server = createServer((req, res) => {
  res.setHeader('Content-Type', 'text/plain; charset=utf-8')
  if (req.url === '/_/health') res.end('OK')
  else res.end(`${req.method} ${req.url}\n`)
})

server.listen(process.env.port || 8080)
// Answers what is in flight before it ends.
process.on('SIGTERM', () => server.close(() => process.exit(0)))

module.exports = server
