import { createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { expect, test } from 'vitest'
import { isSilent } from './readiness.ts'

async function silence(onConnection: (socket: Socket) => void): Promise<boolean> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    onConnection(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await isSilent('127.0.0.1', (server.address() as AddressInfo).port)
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

test('a server that takes the request and says nothing is silent', async () => {
  expect(await silence((socket) => socket.resume())).toBe(true)
})

test('a server that answers, even that it is not well, is not silent', async () => {
  expect(await silence((socket) => socket.once('data', () => socket.write('HTTP/1.1 503 x\r\n\r\n')))).toBe(
    false,
  )
})

test('a forwarder that lets go of the connection is not silent', async () => {
  expect(await silence((socket) => socket.end())).toBe(false)
})

test('a port that nobody listens on is not silent', async () => {
  expect(await isSilent('127.0.0.1', 1)).toBe(false)
})
