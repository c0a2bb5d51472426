'use strict'
// The function that parity tests deploy. In a container it is the program; in memory its `answer` is the listener.
// FLAVOR says how it behaves: `echo` at once, `late:MS` listens late, `exit:CODE` ends at once.

const fs = require('fs')
const http = require('http')

/** Answers a request for a function that was deployed with `env`. */
function answer(request, response, env, print) {
  const url = new URL(request.url, 'http://here')
  switch (url.pathname) {
    case '/_/health':
      return response.end('OK')
    case '/redirect':
      response.writeHead(302, { Location: '/elsewhere' })
      return response.end()
    case '/print':
      print(url.searchParams.get('text'))
      return response.end('printed')
    case '/secret':
      return response.end(
        fs.readFileSync(`/var/openfaas/secrets/${url.searchParams.get('name')}`).toString('base64'),
      )
    case '/wait':
      return setTimeout(() => response.end('waited'), Number(url.searchParams.get('ms')))
    case '/crash':
      // What a process that ends does in any order: its connections end, and a while later it listens no more.
      request.socket.destroy()
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
      return process.exit(3)
    case '/status':
      response.statusCode = Number(url.searchParams.get('code'))
      return response.end('as you wish')
    default: {
      const chunks = []
      request.on('data', (chunk) => chunks.push(chunk))
      request.on('end', () => {
        const { method, url: path, rawHeaders } = request
        response.setHeader('Content-Type', 'application/json')
        const body = Buffer.concat(chunks).toString()
        response.end(
          JSON.stringify({ method, path, headers: rawHeaders, body, word: env.WORD, fprocess: env.fprocess }),
        )
      })
    }
  }
}

module.exports = { answer }

if (require.main === module) {
  const [flavor, amount] = (process.env.FLAVOR || 'echo').split(':')
  const serve = () =>
    http.createServer((request, response) => answer(request, response, process.env, console.log)).listen(8080)
  if (flavor === 'exit') {
    console.error('this function ends by itself')
    process.exit(Number(amount))
  } else if (flavor === 'late') setTimeout(serve, Number(amount))
  else serve()
  process.on('SIGTERM', () => process.exit(0))
}
