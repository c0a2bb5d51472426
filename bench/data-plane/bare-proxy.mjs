// What is measured against: the least that a streaming proxy of node:http and undici can do. No ids, no counts, no limits.
import { createServer } from 'node:http'
import { Pool } from 'undici'
import { tellProcessorTime } from './cpu.mjs'

const DROPPED = new Set(['connection', 'keep-alive', 'transfer-encoding', 'host'])
const pool = new Pool(`http://127.0.0.1:${process.argv[2]}`, { connections: null })

const server = createServer((request, response) => {
  const { rawHeaders: raw, url: path, method } = request
  const hasBody = request.headers['content-length'] !== undefined
  pool.dispatch(
    { path, method, headers: kept(raw, String), body: hasBody ? request : null },
    {
      onConnect: () => undefined,
      onHeaders: (status, rawHeaders, resume, text) => {
        response.writeHead(
          status,
          text,
          kept(rawHeaders, (bytes) => bytes.toString('latin1')),
        )
        response.on('drain', resume)
        return true
      },
      onData: (chunk) => response.write(chunk),
      onComplete: () => response.end(),
      onError: () => response.destroy(),
    },
  )
})
tellProcessorTime()
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send(server.address().port))

function kept(raw, text) {
  const headers = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = text(raw[i])
    if (!DROPPED.has(name.toLowerCase())) headers.push(name, text(raw[i + 1]))
  }
  return headers
}
