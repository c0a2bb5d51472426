// What every runtime has to live through: many calls over many swaps, and bytes that are no HTTP.
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import fc from 'fast-check'
import type { Answer, Call } from './call.ts'

/** Calls over connections that are kept. */
export function keptCalls(
  { host, port }: { readonly host: string; readonly port: number },
  connections: number,
): { call(call?: Call): Promise<Answer> } & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  return {
    [Symbol.dispose]: () => agent.destroy(),
    call: ({ body, ...rest } = {}) =>
      new Promise((resolve, reject) => {
        const req = request({ host, port, agent, ...rest }, (res) => {
          let text = ''
          res.setEncoding('utf8')
          res.on('data', (chunk: string) => (text += chunk))
          res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: text }))
        })
        req.on('error', reject)
        req.end(body)
      }),
  }
}

export interface Soak {
  readonly requests: number
  readonly swaps: number
  /** One call; rejects or answers whatever it answers. */
  readonly call: () => Promise<Answer>
  /** Brings a generation that answers `generation NUMBER`; resolves once it is acknowledged. */
  readonly swapTo: (number: number) => Promise<void>
}

/** Calls from sixteen sides while generations are swapped, the swaps spread over all calls; gives what was wrong. */
export async function soak({ requests, swaps, call, swapTo }: Soak): Promise<readonly string[]> {
  const bad: string[] = []
  let sent = 0
  let acknowledged = 1
  const worker = async (): Promise<void> => {
    while (sent < requests) {
      sent += 1
      const atLeast = acknowledged
      const { status, body } = await call()
      const number = Number(/^generation (\d+)\s*$/.exec(body)?.[1])
      if (status !== 200 || !(number >= atLeast)) bad.push(`${status} ${body} after ${atLeast}`)
    }
  }
  const swapper = async (): Promise<void> => {
    for (let number = 2; number <= swaps + 1; number += 1) {
      // Always on top of calls in flight.
      while (sent < ((number - 1) * requests) / (swaps + 1)) await call()
      await swapTo(number)
      acknowledged = number
    }
  }
  await Promise.all([swapper(), ...Array.from({ length: 16 }, worker)])
  return bad
}

/** What memory was at most in the first, in the middle and in the last third of the swaps. */
export function thirds(memory: readonly number[]): Readonly<Record<'first' | 'middle' | 'last', number>> {
  const third = Math.floor(memory.length / 3)
  return {
    first: Math.max(...memory.slice(0, third)),
    middle: Math.max(...memory.slice(third, -third)),
    last: Math.max(...memory.slice(-third)),
  }
}

const pieces = [
  'GET / HTTP/1.1\r\n',
  'POST /a?b=c HTTP/1.1\r\n',
  'GET http://x/y HTTP/1.1\r\n',
  'OPTIONS * HTTP/1.1\r\n',
  'CONNECT a:1 HTTP/1.1\r\n',
  'GET /_/generation HTTP/1.1\r\nX-Faasdock-Token: \u00ff\r\n',
  'GET / HTTP/9.9\r\n',
  'HTTP/1.1 200 OK\r\n',
  'Host: x\r\n',
  'Content-Length: 3\r\n',
  'Content-Length: -1\r\n',
  'Content-Length: 99999999999\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Content-Type: application/json\r\n',
  'Content-Encoding: gzip\r\n',
  'Connection: close\r\n',
  'Connection: upgrade\r\nUpgrade: websocket\r\n',
  'Expect: 100-continue\r\n',
  'Expect: tea\r\n',
  'X: \u0000\r\n',
  ': x\r\n',
  'no colon\r\n',
  '\r\n',
  '\n',
  '3\r\nabc\r\n',
  '0\r\n\r\n',
  'zz\r\n',
  '{"a":1}',
  'X-Timeout: -1s\r\n',
  'X-Timeout: 0s\r\n',
  'X-Timeout: 9999999h\r\n',
  `X-Long: ${'y'.repeat(20_000)}\r\n`,
]

/** Eight texts at a time, each made of pieces of HTTP and noise: most only end with a limit, so they go side by side. */
export function brokenHttp(): fc.Arbitrary<readonly string[]> {
  const noise = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array).toString('latin1'))
  const script = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...pieces) },
      { weight: 1, arbitrary: noise },
    ),
    { maxLength: 14 },
  )
  return fc.array(
    script.map((parts) => parts.join('')),
    { minLength: 8, maxLength: 8 },
  )
}

/** What comes back for these bytes until either end closes, or says nothing for a moment. */
export function sayBytes({ host, port }: { readonly host: string; readonly port: number }, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, host)
    let answer = ''
    socket.setEncoding('latin1')
    socket.setTimeout(150, () => socket.destroy())
    socket.on('data', (chunk: string) => (answer += chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      resolve(answer)
    })
    socket.write(text, 'latin1')
  })
}

/** What an answer to such a text may be: HTTP, or nothing. */
export const HTTP_OR_NOTHING = /^(HTTP\/1\.[01] [1-5]\d\d [^\r\n]*\r\n[\s\S]*)?$/
