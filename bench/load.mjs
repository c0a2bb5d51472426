// `node load.mjs PORT CONNECTIONS SECONDS`: GETs over kept-alive connections to 127.0.0.1, one at a time on each; prints
// how many were answered with 200 per second. Raw sockets, so that it costs less than what it measures.
import { connect } from 'node:net'

const [port, connections, seconds] = process.argv.slice(2).map(Number)
const question = 'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'
let answered = 0
const end = performance.now() + seconds * 1000

await Promise.all(Array.from({ length: connections }, ask))
console.log(answered / seconds)

function ask() {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(question))
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    let text = ''
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      text += chunk
      const body = text.indexOf('\r\n\r\n')
      if (body === -1) return
      const length = /content-length: (\d+)/i.exec(text)
      if (!text.startsWith('HTTP/1.1 200') || length === null)
        return reject(new Error(`unexpected answer: ${text}`))
      if (text.length < body + 4 + Number(length[1])) return
      text = ''
      answered += 1
      if (performance.now() < end) socket.write(question)
      else {
        socket.end()
        resolve()
      }
    })
  })
}
