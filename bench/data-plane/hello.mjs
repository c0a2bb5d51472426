// The function that everything is measured with, in a process of its own: small answers, and bodies read to their end.
// Sends its port; answers any message with how many calls it has answered.
import { createServer } from 'node:http'

let answered = 0
const server = createServer((request, response) => {
  request.resume()
  request.once('end', () => {
    answered++
    response.writeHead(200, { 'Content-Type': 'text/plain' }).end('hello')
  })
})
process.on('message', () => process.send(answered))
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => process.send(server.address().port))
