// A load generator that costs little: fixed bytes out, answers counted by where their bodies end. Told by messages:
// { port, path, connections, seconds, body, status } → { calls, perSecond, p50, p99 } (milliseconds).
import { connect } from 'node:net'

process.on('message', (job) => {
  measure(job).then(
    (numbers) => process.send(numbers),
    (error) => process.send({ error: String(error) }),
  )
})
process.send('ready')

async function measure({ port, path, connections, seconds, body = '', status = 200 }) {
  const method = body === '' ? 'GET' : 'POST'
  const length = body === '' ? '' : `Content-Length: ${body.length}\r\nContent-Type: text/plain\r\n`
  const request = Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: bench\r\n${length}\r\n${body}`)
  const milliseconds = []
  const began = performance.now()
  const end = began + seconds * 1000
  await Promise.all(Array.from({ length: connections }, () => one(port, request, end, milliseconds, status)))
  const took = (performance.now() - began) / 1000
  milliseconds.sort((a, b) => a - b)
  const at = (q) => milliseconds[Math.min(milliseconds.length - 1, Math.floor(q * milliseconds.length))]
  return { calls: milliseconds.length, perSecond: milliseconds.length / took, p50: at(0.5), p99: at(0.99) }
}

function one(port, request, end, milliseconds, status) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let text = ''
    let sentAt = 0
    const send = () => {
      sentAt = performance.now()
      socket.write(request)
    }
    socket.setEncoding('latin1')
    socket.once('connect', send)
    socket.once('error', reject)
    socket.on('data', (piece) => {
      text += piece
      if (!isWhole(text)) return
      if (!text.startsWith(`HTTP/1.1 ${status}`)) {
        reject(new Error(`an answer was not ${status}: ${text.slice(0, 200)}`))
        return
      }
      text = ''
      const now = performance.now()
      milliseconds.push(now - sentAt)
      if (now < end) send()
      else {
        socket.destroy()
        resolve()
      }
    })
  })
}

function isWhole(text) {
  const head = text.indexOf('\r\n\r\n')
  if (head < 0) return false
  const length = /content-length: (\d+)/i.exec(text)
  return length ? text.length >= head + 4 + Number(length[1]) : text.endsWith('0\r\n\r\n')
}
