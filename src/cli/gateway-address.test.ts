import { expect, test } from 'vitest'
import { DEFAULT_GATEWAY, resolveGateway } from './gateway-address.ts'

test('flag before stack file before environment before default', () => {
  const flag = 'http://flag:1'
  const stack = 'http://stack:2'
  const env = 'http://env:3'
  expect(resolveGateway({ flag, stack, env })).toBe(flag)
  expect(resolveGateway({ stack, env })).toBe(stack)
  expect(resolveGateway({ env })).toBe(env)
  expect(resolveGateway({})).toBe('http://127.0.0.1:8080')
})

test('what says only the default outvotes nothing, as in faas-cli', () => {
  expect(resolveGateway({ flag: DEFAULT_GATEWAY, stack: 'http://stack:2' })).toBe('http://stack:2')
  expect(resolveGateway({ stack: DEFAULT_GATEWAY, env: 'http://env:3' })).toBe('http://env:3')
  expect(resolveGateway({ flag: DEFAULT_GATEWAY, stack: `${DEFAULT_GATEWAY}/`, env: 'http://env:3' })).toBe(
    'http://env:3',
  )
  expect(resolveGateway({ flag: DEFAULT_GATEWAY, stack: DEFAULT_GATEWAY })).toBe(DEFAULT_GATEWAY)
})

test.each([
  ['gateway.local:9090/', 'http://gateway.local:9090'],
  ['HTTPS://Gateway.Local/', 'https://gateway.local'],
  ['http://u:P@h:1/Base//', 'http://u:P@h:1/base'],
  ['http://Host:80', 'http://host:80'],
  ['http://host?x=1#y', 'http://host'],
])('%s is read as %s', (text, address) => expect(resolveGateway({ flag: text })).toBe(address))

test('what is no address is refused under the name of where it came from', () => {
  expect(() => resolveGateway({ env: 'ftp://x' })).toThrow(/OPENFAAS_URL "ftp:\/\/x"/)
  expect(() => resolveGateway({ stack: 'http://' })).toThrow(/provider.gateway/)
})
