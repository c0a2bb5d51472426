import { expect, test } from 'vitest'
import { formatEngineAddress, parseEngineAddress, socketAddress } from './engine-address.ts'

test.each([
  ['unix:///var/run/docker.sock', socketAddress('/var/run/docker.sock')],
  ['/run/docker.sock', socketAddress('/run/docker.sock')],
  ['npipe:////./pipe/docker_engine', socketAddress('//./pipe/docker_engine')],
  ['tcp://10.0.0.1', { protocol: 'http', host: '10.0.0.1', port: 2375 }],
  ['tcp://[::1]:99', { protocol: 'http', host: '::1', port: 99 }],
  ['http://engine:80', { protocol: 'http', host: 'engine', port: 80 }],
  ['https://engine:443', { protocol: 'https', host: 'engine', port: 443 }],
  ['engine:2375', { protocol: 'http', host: 'engine', port: 2375 }],
  ['ssh://me@far', { protocol: 'ssh', host: 'far', port: 22, username: 'me', sshOptions: {} }],
])('%s is read', (text, address) => {
  expect(parseEngineAddress(text, 'DOCKER_HOST')).toEqual(address)
})

test('TLS material makes tcp a TLS connection with its own port', () => {
  expect(parseEngineAddress('tcp://engine', 'DOCKER_HOST', { tls: { ca: 'CA' } })).toEqual({
    protocol: 'https',
    host: 'engine',
    port: 2376,
    ca: 'CA',
  })
})

test.each(['fd://', 'unix://', 'ftp://engine', 'tcp://', 'tcp://a b', 'ssh://'])('%s is refused', (text) => {
  expect(() => parseEngineAddress(text, '--engine')).toThrow(`--engine is ${JSON.stringify(text)}`)
})

test.each([
  'unix:///var/run/docker.sock',
  'npipe:////./pipe/docker_engine',
  'tcp://[::1]:99',
  'ssh://me@far:22',
])('%s is written as it was read', (text) => {
  expect(formatEngineAddress(parseEngineAddress(text, 'DOCKER_HOST'))).toBe(text)
})
