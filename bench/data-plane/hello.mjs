// The function that everything is measured with, in a process of its own: small answers, and bodies read to their end.
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  request.resume()
  request.once('end', () => response.writeHead(200, { 'Content-Type': 'text/plain' }).end('hello'))
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send(server.address().port))
