import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import { useApp } from '../../test/support/use-app.ts'
import type { TestApp } from '../../test/support/use-app.ts'
import type { MemoryImage } from '../provider/memory/memory-provider.ts'

/** What came to a function behind its watchdog. */
interface Behind {
  readonly bodies: string[]
  /** How often the watchdog answers for a child that does not listen. */
  misses: number
  asked: number
}

type Answer = (response: ServerResponse) => void

/** An of-watchdog in http mode that was ready before its child. Whether it signs its answers depends on its version. */
function watchdog(answerForChild: Answer, misses = 1): { image: MemoryImage; behind: Behind } {
  const behind: Behind = { bodies: [], misses, asked: 0 }
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    let body = ''
    request.on('data', (chunk: Buffer) => (body += chunk.toString()))
    request.on('end', () => {
      behind.asked++
      response.sendDate = true
      if (behind.misses-- > 0) {
        answerForChild(response)
        return
      }
      behind.bodies.push(body)
      response.setHeader('X-Duration-Seconds', '0.001')
      response.end('from the child')
    })
  }
  return { image: { listener: () => listener }, behind }
}

/** Go's server adds nothing but the date and the length. */
function goHead(response: ServerResponse, status: number, headers: Record<string, string>): void {
  response.removeHeader('Connection')
  response.shouldKeepAlive = true
  response.socket?.write(
    `HTTP/1.1 ${status} Internal Server Error\r\n${Object.entries({
      ...headers,
      Date: 'now',
      'Content-Length': '0',
    })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`,
  )
  response.socket?.end()
}

const signed: Answer = (response) =>
  goHead(response, 500, { 'X-Duration-Seconds': '0.000321', 'X-Openfaas-Internal': 'of-watchdog' })
const unsigned: Answer = (response) => goHead(response, 500, { 'X-Duration-Seconds': '0.000321' })

async function open(image: MemoryImage): Promise<TestApp> {
  const platform = await useApp({ image })
  await platform.deploy('fn', 'image')
  return platform
}
const call = (platform: TestApp, init: RequestInit = {}): Promise<Response> =>
  fetch(`${platform.url}/function/fn`, init)

describe('a call that a watchdog answered for its child', () => {
  test.each([
    ['signed, as from 0.11 on', signed],
    ['bare, as before', unsigned],
  ])(
    'in the first seconds is sent again, with its body, and nobody notices (%s)',
    async (_version, answer) => {
      const { image, behind } = watchdog(answer)
      await using platform = await open(image)
      const response = await call(platform, { method: 'POST', body: 'pay' })
      expect([response.status, await response.text()]).toEqual([200, 'from the child'])
      expect(behind).toMatchObject({ asked: 2, bodies: ['pay'] })
    },
  )

  test('is sent again once, not for ever', async () => {
    const { image, behind } = watchdog(signed, 100)
    await using platform = await open(image)
    const response = await call(platform)
    expect([response.status, response.headers.get('x-openfaas-internal')]).toEqual([500, 'of-watchdog'])
    expect(behind.asked).toBe(2)
  })

  test('later is the function’s answer', async () => {
    const { image, behind } = watchdog(signed, 0)
    await using platform = await open(image)
    await call(platform)
    behind.misses = 1
    // The replica is new for five seconds.
    const now = Date.now
    Date.now = () => now() + 6000
    try {
      expect((await call(platform)).status).toBe(500)
    } finally {
      Date.now = now
    }
    expect(behind.asked).toBe(2)
  })

  test('whose body is a stream is not: it is not kept', async () => {
    const { image, behind } = watchdog(signed)
    await using platform = await open(image)
    const response = await call(platform, { method: 'POST', body: Buffer.alloc(2 ** 20) })
    expect(response.status).toBe(500)
    expect(behind.asked).toBe(1)
  })
})

describe('a 500 of the function itself is never repeated', () => {
  test.each<[string, Answer]>([
    ['with a body', (response) => response.writeHead(500, { 'X-Duration-Seconds': '0.1' }).end('broken')],
    [
      'of a child that says who it is',
      (response) => response.writeHead(500, { 'X-Duration-Seconds': '0.1', 'X-Powered-By': 'Express' }).end(),
    ],
    ['without a watchdog', (response) => goHead(response, 500, {})],
    [
      'signed by somebody else',
      (response) => goHead(response, 500, { 'X-OpenFaaS-Internal': 'faas-middleware' }),
    ],
    ['a 504 of the watchdog', (response) => goHead(response, 504, { 'X-OpenFaaS-Internal': 'of-watchdog' })],
  ])('%s', async (_what, answer) => {
    const { image, behind } = watchdog(answer)
    await using platform = await open(image)
    expect((await call(platform)).status).toBeGreaterThanOrEqual(500)
    expect(behind.asked).toBe(1)
  })
})
