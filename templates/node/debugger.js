'use strict'
// The runtime's own route /_/debugger: Node's inspector, opened in a process that goes on. docs/runtime.md is the protocol.

const defaultPort = 9229

/** Node's inspector; undefined where this Node was built without it. */
function inspector() {
  try {
    return require('inspector')
  } catch (_) {
    return undefined
  }
}

/** The port that debuggers connect to; undefined while there is none. SIGUSR1 opens it too. */
function openPort() {
  const found = inspector()
  const url = found === undefined ? undefined : found.url()
  return url === undefined ? undefined : Number(new URL(url).port)
}

/** Whether somebody may be looking at a line of the handler: no call is given up meanwhile. */
const isOpen = () => openPort() !== undefined

function say(res, status, body) {
  const text = JSON.stringify(Object.assign({ language: 'node' }, body))
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) })
  res.end(text)
}

const state = () => (isOpen() ? { port: openPort() } : {})

/** Opens it on the container's own loopback: whoever is in the container is let in, and nobody else gets there. */
function open(res, port) {
  const found = inspector()
  if (found === undefined) {
    say(res, 501, { message: 'this Node was built without a debugger' })
    return
  }
  if (!isOpen()) found.open(port, '127.0.0.1')
  if (isOpen()) say(res, 200, state())
  else say(res, 501, { message: `the debugger cannot listen on port ${port} of the container` })
}

function close(res) {
  // After the answer: it waits for connections that are about to end, and nobody should wait for that.
  res.on('finish', () => setImmediate(() => isOpen() && inspector().close()))
  say(res, 200, {})
}

function put(req, res) {
  const chunks = []
  req.on('data', (chunk) => chunks.push(chunk))
  req.on('end', () => {
    let port
    try {
      const wish = JSON.parse(Buffer.concat(chunks).toString('utf8') || '{}')
      port = wish.port === undefined ? defaultPort : wish.port
    } catch (error) {
      say(res, 400, { message: `the body is no JSON: ${error.message}` })
      return
    }
    if (Number.isInteger(port) && port > 0 && port < 65536) open(res, port)
    else say(res, 400, { message: `"port" is ${JSON.stringify(port)}: a number from 1 to 65535 is taken` })
  })
}

/** Answers one request of the route. */
function answer(req, res) {
  if (req.method === 'GET') say(res, 200, state())
  else if (req.method === 'PUT') put(req, res)
  else if (req.method === 'DELETE') close(res)
  else say(res, 405, { message: `${req.method} is not taken here: GET, PUT and DELETE are` })
}

module.exports = { answer, isOpen }
