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

test('a flag that says only the default does not outvote the stack file', () => {
  expect(resolveGateway({ flag: DEFAULT_GATEWAY, stack: 'http://stack:2' })).toBe('http://stack:2')
})

test.each([
  ['gateway.local:9090/', 'http://gateway.local:9090'],
  ['HTTPS://Gateway.Local/', 'https://gateway.local'],
  ['http://u:p@h:1/base/', 'http://u:p@h:1/base'],
])('%s is read as %s', (text, address) => expect(resolveGateway({ flag: text })).toBe(address))

test('what is no address is refused under the name of where it came from', () => {
  expect(() => resolveGateway({ env: 'ftp://x' })).toThrow(/OPENFAAS_URL "ftp:\/\/x"/)
  expect(() => resolveGateway({ stack: 'http://' })).toThrow(/provider.gateway/)
})
