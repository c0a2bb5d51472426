'use strict'
// A function that speaks HTTP in every way that HTTP/1.1 has, as its path says. In a container it is the program.

const http = require('http')

/** Answers that wait for a word of the test, by their names. */
const waiting = new Map()
const counts = { open: 0, aborted: 0 }

function say(request, response, body) {
  const { method, url, httpVersion, rawHeaders: headers, rawTrailers: trailers } = request
  response.setHeader('Content-Type', 'application/json')
  response.end(JSON.stringify({ method, url, httpVersion, headers, trailers, body }))
}

function echo(request, response) {
  const chunks = []
  request.on('data', (chunk) => chunks.push(chunk))
  request.on('end', () => say(request, response, Buffer.concat(chunks).toString('latin1')))
}

function answer(request, response) {
  const [, what, argument] = request.url.split(/[/?]/)
  switch (what) {
    case '_': // health
      return response.end('OK')
    case 'bytes': {
      // The whole answer as it is to be on the wire, then the end of the connection unless it is to be kept.
      const { socket } = request
      request.resume()
      socket.write(Buffer.from(argument, 'base64url'))
      if (!request.url.endsWith('?keep')) socket.end()
      return
    }
    case 'steps': {
      // Pieces of an answer, each when the test says so.
      response.writeHead(200, { 'Content-Type': request.headers.accept || 'text/plain' })
      const step = (text) => (text === 'end' ? response.end() : response.write(text))
      waiting.set(argument, step)
      return step('0')
    }
    case 'step': {
      const [name, text] = argument.split('.')
      const step = waiting.get(name)
      if (step) step(decodeURIComponent(text))
      response.statusCode = step ? 200 : 404
      return response.end()
    }
    case 'status':
      response.writeHead(Number(argument), { Location: '/elsewhere?a=b', 'Set-Cookie': ['a=1', 'b=2'] })
      return response.end()
    case 'early':
      response.writeHead(413, { 'Content-Type': 'text/plain' })
      return response.end('too large')
    case 'head-first':
      // Answers from the head alone, and only then reads.
      response.writeHead(200, { 'Content-Type': 'text/plain' })
      response.write(`saw ${request.headers['x-mark']};`)
      return request.pipe(response)
    case 'hang-up':
      return request.socket.destroy()
    case 'reset':
      return request.socket.resetAndDestroy()
    case 'die':
      response.writeHead(200, { 'Content-Type': 'text/plain' })
      response.write('half of it')
      setTimeout(() => request.socket.destroy(), 50)
      return
    case 'silent':
      counts.open++
      request.socket.once('close', () => {
        counts.open--
        counts.aborted++
      })
      return
    case 'hints':
      response.writeEarlyHints({ link: ['</a.css>; rel=preload', '</b.js>; rel=preload'], 'x-hint': '1' })
      return setTimeout(() => response.end('hinted'), 20)
    case 'long-head':
      response.setHeader('X-Long', 'x'.repeat(Number(argument)))
      return response.end()
    case 'trailers':
      response.writeHead(200, { 'Content-Type': 'text/plain', Trailer: 'X-Sum, X-More' })
      response.write('body')
      response.addTrailers({ 'X-Sum': 'abc', 'X-More': 'd' })
      return response.end()
    case 'length':
      response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': '5' })
      return response.end(request.method === 'HEAD' ? undefined : 'hello')
    case 'bare':
      return response.writeHead(200).end('bare')
    case 'back':
      // Sends back the headers it got, as functions for debugging do.
      for (const name of ['x-call-id', 'x-start-time']) response.setHeader(name, request.headers[name])
      return response.end('back')
    case 'counts':
      return response.end(JSON.stringify(counts))
    default:
      return echo(request, response)
  }
}

function prepare(server) {
  server.keepAliveTimeout = 60_000
  server.maxHeadersCount = 0
  server.on('checkContinue', (request, response) => {
    if (request.url.startsWith('/refuse')) {
      response.writeHead(417, { 'Content-Type': 'text/plain' })
      response.end('not that')
      return
    }
    if (request.url.startsWith('/mute-continue')) return answer(request, response)
    response.writeContinue()
    answer(request, response)
  })
  server.on('upgrade', (request, socket) => {
    socket.on('error', () => undefined)
    if (request.url.startsWith('/refuse')) {
      socket.end('HTTP/1.1 426 No\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nno!')
      return
    }
    socket.write(
      `HTTP/1.1 101 Go on\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\nhello `,
    )
    socket.pipe(socket)
  })
}

module.exports = { answer, prepare }

if (require.main === module) {
  const [flavor, amount] = (process.env.FLAVOR || 'echo').split(':')
  const server = http.createServer(answer)
  prepare(server)
  if (flavor === 'exit') {
    console.error('this function ends by itself')
    process.exit(Number(amount))
  } else setTimeout(() => server.listen(8080), flavor === 'late' ? Number(amount) : 0)
  process.on('SIGTERM', () => process.exit(0))
}
