import { describe, expect, test } from 'vitest'
import type { Config } from './config.ts'
import { readConfig } from './config.ts'

function read(env: Record<string, string>, flags: Record<string, string | number | boolean> = {}): Config {
  return readConfig({ env, cwd: '/project', flags })
}

describe('the settings of the doors', () => {
  test('by default: metrics on 8082, which may move, and a login where it is needed', () => {
    expect(read({})).toMatchObject({
      metricsPort: 8082,
      isMetricsPortGiven: false,
      auth: 'auto',
      secretMountPath: '/run/secrets',
      allowedOrigins: [],
    })
  })

  test.each([
    ['true', 'on'],
    ['1', 'on'],
    ['false', 'off'],
    ['0', 'off'],
    ['', 'auto'],
  ])('basic_auth=%s is %s', (value, auth) => {
    expect(read({ basic_auth: value }).auth).toBe(auth)
  })

  test('flags win over the environment', () => {
    const env = { basic_auth: 'true', FAASDOCK_METRICS_PORT: '9000', secret_mount_path: 'secrets' }
    expect(read(env)).toMatchObject({ auth: 'on', metricsPort: 9000, secretMountPath: '/project/secrets' })
    expect(read(env, { auth: false, metricsPort: 'off' })).toMatchObject({
      auth: 'off',
      metricsPort: 'off',
      isMetricsPortGiven: true,
    })
  })

  test('origins are written with commas', () => {
    expect(
      read({ FAASDOCK_ALLOWED_ORIGINS: 'http://localhost:3000, https://a.test' }).allowedOrigins,
    ).toEqual(['http://localhost:3000', 'https://a.test'])
  })

  test.each([
    [{ basic_auth: 'maybe' }, /basic_auth is "maybe"; accepted is true or 1, false or 0/],
    [
      { FAASDOCK_METRICS_PORT: '70000' },
      /FAASDOCK_METRICS_PORT is "70000"; accepted is a port from 0 to 65535, or "off"/,
    ],
    [{ FAASDOCK_ALLOWED_ORIGINS: 'localhost:3000' }, /accepted is origins such as "http:\/\/localhost:3000"/],
    [{ FAASDOCK_ALLOWED_ORIGINS: 'http://localhost:3000/' }, /accepted is origins/],
  ])('%j is refused', (env, message) => {
    expect(() => read(env)).toThrow(
      expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringMatching(message) as string }),
    )
  })
})

describe('how saves are noticed', () => {
  test('by what fits where a file lies, unless it is said', () => {
    expect(read({}).watchMode).toBe('auto')
    expect(read({ FAASDOCK_WATCH_MODE: 'poll' }).watchMode).toBe('poll')
    expect(read({ FAASDOCK_WATCH_MODE: 'poll' }, { watchMode: 'events' }).watchMode).toBe('events')
  })

  test('a word that is none of them is refused', () => {
    expect(() => read({ FAASDOCK_WATCH_MODE: 'often' })).toThrow(
      /FAASDOCK_WATCH_MODE is "often"; accepted is "auto", "events" or "poll"/,
    )
  })
})
