import { setTimeout as sleep } from 'node:timers/promises'
import { FaasError } from '../../src/core/errors.ts'
import type { FunctionSpec, Revision } from '../../src/core/function.ts'
import type { MemoryImage } from '../../src/provider/memory/memory-provider.ts'

/**
 * How a hello function starts. `ok`: at once. `slow`: listens late. `exit`: writes a line and ends. `never`: runs and
 * never listens. `unready`: answers 503 on its health path for a while. `watchdog`: like an of-watchdog in http mode,
 * healthy at once, but its child listens late.
 */
export type Start =
  'ok' | `slow:${number}` | `exit:${number}` | 'never' | `unready:${number}` | `watchdog:${number}`

export const HELLO_PORT_OF_CHILD = 5000

/** The program of the hello image. Each answer to `/` is `{ word, replica }`. */
export const HELLO_PROGRAM = `
const http = require('http'), fs = require('fs'), dns = require('dns')
const [start, amount] = (process.env.START || 'ok').split(':')
const begun = Date.now()
const replica = Math.random().toString(36).slice(2)
const json = (response, value) => response.end(JSON.stringify(value))
const tried = (work) => { try { return { ok: work() } } catch (error) { return { error: error.code || String(error) } } }
const answer = (request, response) => {
  const url = new URL(request.url, 'http://here')
  const q = (name) => url.searchParams.get(name)
  switch (url.pathname) {
    case '/_/health':
      response.statusCode = start === 'unready' && Date.now() - begun < Number(amount) ? 503 : 200
      return response.end('OK')
    case '/slow':
      return setTimeout(() => json(response, { word: process.env.WORD, replica }), Number(q('ms')))
    case '/busy': {
      // Nothing else gets a turn meanwhile.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(q('ms')))
      return json(response, { word: process.env.WORD, replica })
    }
    case '/print':
      process.stdout.write(q('text') + '\\n')
      return response.end('printed')
    case '/print-long':
      process.stdout.write('begin' + (q('letter') || 'x').repeat(Number(q('length'))) + 'end\\n')
      return response.end('printed')
    case '/flood': {
      const [lines, rate, begun, from] = [Number(q('lines')), Number(q('rate')), Date.now(), Number(q('from'))]
      let next = from
      const timer = setInterval(() => {
        const due = Math.min(lines, from + Math.floor(((Date.now() - begun) / 1000) * rate))
        let text = ''
        while (next < due) text += 'flood ' + next++ + ' ' + 'x'.repeat(300) + '\\n'
        if (text) process.stdout.write(text)
        if (next >= lines) clearInterval(timer)
      }, 5)
      return response.end('begun')
    }
    case '/crash':
      console.error('about to end with ' + q('code'))
      return process.exit(Number(q('code')))
    case '/watch': {
      // What a file is while it changes, read as often as can be.
      const seen = new Set()
      for (const end = Date.now() + Number(q('ms')); Date.now() < end; ) {
        const { ok, error } = tried(() => fs.readFileSync(q('file'), 'latin1'))
        seen.add(error || ok.length + ' ' + [...new Set(ok)].join(''))
      }
      return json(response, [...seen])
    }
    case '/read':
      return json(response, tried(() => fs.readFileSync(q('file')).toString('base64')))
    case '/write':
      return json(response, tried(() => fs.writeFileSync(q('file'), 'x')))
    case '/who':
      return json(response, { uid: process.getuid(), env: process.env, hosts: fs.readFileSync('/etc/hosts', 'utf8') })
    case '/resolve':
      return dns.lookup(q('name'), (error, address) => json(response, error ? { error: error.code } : { ok: address }))
    case '/fetch':
      return http.get(q('url'), (got) => {
        let body = ''
        got.on('data', (chunk) => (body += chunk))
        got.on('end', () => json(response, { ok: body, status: got.statusCode }))
      }).on('error', (error) => json(response, { error: error.code }))
    default:
      return json(response, { word: process.env.WORD, replica })
  }
}
const serve = () => http.createServer(answer).listen(8080)
console.log('hello begins as ' + process.env.WORD)
if (start === 'exit') { console.error('cannot find module ./nothing'); process.exit(Number(amount)) }
else if (start === 'never') setInterval(() => undefined, 1000)
else if (start === 'slow') setTimeout(serve, Number(amount))
else if (start === 'watchdog') {
  let isUp = false
  const child = http.createServer(answer)
  setTimeout(() => child.listen(${HELLO_PORT_OF_CHILD}, '127.0.0.1', () => (isUp = true)), Number(amount))
  http.createServer((request, response) => {
    if (request.url === '/_/health') return response.end('OK')
    if (isUp) return answer(request, response)
    response.statusCode = 502
    response.end('connection refused')
  }).listen(8080)
} else serve()
process.on('SIGTERM', () => process.exit(0))
`

/** The same function for the memory provider; what the engine would find out about it, it tells by itself. */
export const helloInMemory: MemoryImage = {
  start: async ({ spec }, signal) => {
    const [start, amount] = (spec.envVars?.['START'] ?? 'ok').split(':')
    const ms = Number(amount ?? 0)
    if (start === 'exit') {
      throw new FaasError('REPLICA_EXITED', {
        message: `${spec.name} exited with code ${ms}; its last lines:\n  cannot find module ./nothing`,
        remedy: 'See its last lines.',
      })
    }
    if (start === 'never') {
      await sleep(50, undefined, { signal }).catch(() => signal.throwIfAborted())
      throw new FaasError('REPLICA_NOT_READY', {
        message: `${spec.name} did not answer; its last lines:\n  hello begins as ${spec.envVars?.['WORD'] ?? ''}`,
        remedy: 'Let it serve.',
      })
    }
    if (start !== 'ok') await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted())
  },
  listener: ({ spec }, log) => {
    const replica = Math.random().toString(36).slice(2)
    const word = spec.envVars?.['WORD']
    log(`hello begins as ${word ?? ''}`)
    return (request, response) => {
      const url = new URL(request.url ?? '/', 'http://here')
      const answer = (): void => void response.end(JSON.stringify({ word, replica }))
      if (url.pathname === '/slow') setTimeout(answer, Number(url.searchParams.get('ms')))
      else if (url.pathname === '/print') {
        log(url.searchParams.get('text') ?? '')
        response.end('printed')
      } else answer()
    }
  },
}

let counter = 0

/** A spec of a hello function under a name of its own, unless one is given. */
export function helloSpec(
  image: string,
  given: { readonly word?: string; readonly start?: Start } & Partial<FunctionSpec> = {},
): FunctionSpec {
  const { word = 'hello', start = 'ok', envVars, ...rest } = given
  return {
    name: `hello-${++counter}`,
    namespace: 'openfaas-fn',
    image,
    labels: {},
    annotations: {},
    envVars: { WORD: word, START: start, ...envVars },
    ...rest,
  }
}

/** A revision of a spec, with an id of its own. */
export function revisionOf(spec: FunctionSpec, imageId?: string): Revision {
  const id = `r${(++counter).toString(16)}x${Math.random().toString(16).slice(2, 6)}`
  return { id, spec, ...(imageId !== undefined && { imageId }), createdAt: new Date().toISOString() }
}
