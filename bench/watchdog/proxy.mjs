// A stand-in for a watchdog in http mode, in Node: `node proxy.mjs PORT UPSTREAM_PORT`. It streams both ways over
// kept-alive connections and does nothing else, so it is kinder to the architecture than a real one.
import { Agent, createServer, request } from 'node:http'

const [port, upstream] = process.argv.slice(2).map(Number)
const agent = new Agent({ keepAlive: true, maxSockets: 1024 })

createServer((req, res) => {
  const { method, url, headers } = req
  const onward = request(
    { host: '127.0.0.1', port: upstream, method, path: url, headers, agent },
    (answer) => {
      res.writeHead(answer.statusCode, answer.rawHeaders)
      answer.pipe(res)
    },
  )
  onward.on('error', (error) => res.writeHead(500).end(error.message))
  req.pipe(onward)
}).listen(port, '127.0.0.1', () => console.log('listening'))
