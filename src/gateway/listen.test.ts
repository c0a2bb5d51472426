import { expect, test } from 'vitest'
import { FaasError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { listenOutside } from './listen.ts'
import type { Gateway } from './server.ts'

/** A gateway on a machine where port 8080 is somebody else's. */
const gateway = {
  listen: (host: string, port: number) =>
    port === 8080
      ? Promise.reject(new FaasError('PORT_TAKEN', { message: 'taken', remedy: '' }))
      : Promise.resolve({ host, port }),
} as unknown as Gateway

test('where the gateway moved to is said with what tells other tools', async () => {
  const said: string[] = []
  const say = (line: string): void => void said.push(line)
  const log: Log = { info: say, warn: say, error: say, debug: say }
  const wish = {
    host: '127.0.0.1',
    port: 8080,
    isPortGiven: false,
    portHolder: () => Promise.resolve(undefined),
  }
  await listenOutside(gateway, wish, undefined, log)
  expect(said).toEqual([
    'port 8080 is in use; the gateway is on 8081',
    'for faas-cli and other tools: export OPENFAAS_URL=http://127.0.0.1:8081',
  ])
  said.length = 0
  await listenOutside(gateway, { ...wish, port: 9090 }, undefined, log)
  expect(said).toEqual([])
})
