import { brotliCompressSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { InvocationRecord } from '../core/invocation-record.ts'
import { redact } from './redaction.ts'
import { SecretForms } from './secret-forms.ts'

function secretsOf(...values: string[]): SecretForms {
  const secrets = new SecretForms()
  for (const value of values) secrets.add(Buffer.from(value))
  return secrets
}

function recordOf(more: {
  path?: string
  headers?: string[]
  body?: string | Uint8Array
  isCut?: boolean
}): InvocationRecord {
  const { path = '/', headers = [], body = '', isCut } = more
  const bytes = Buffer.from(body as string)
  return {
    seq: 1,
    callId: 'c',
    ref: { name: 'fn', namespace: 'openfaas-fn' },
    startedAt: 0,
    state: 'ended',
    method: 'POST',
    path,
    status: 200,
    request: { headers, bodyBytes: bytes.length, ...(isCut && { isCut }) },
    redacted: [],
    requestBody: bytes,
    responseBody: new Uint8Array(),
  }
}

const bodyOf = ({ requestBody }: InvocationRecord): string => Buffer.from(requestBody).toString()

describe('names that are credentials', () => {
  test.each([
    'Authorization',
    'proxy-authorization',
    'Cookie',
    'X-Api-Key',
    'apikey',
    'X-Hub-Signature-256',
    'Stripe-Signature',
    'X-Amz-Security-Token',
    'X-Auth',
    'X-CSRF-Token',
    'client_secret',
    'db_password',
  ])('%s is left out as a header and as a parameter', (name) => {
    const { request, path, redacted } = redact(
      recordOf({ headers: [name, 'v4lue'], path: `/a?x=1&${name}=v4lue` }),
      secretsOf(),
    )
    expect(request.headers).toEqual([name, 'REDACTED'])
    expect(path).toBe(`/a?x=1&${name}=REDACTED`)
    expect(redacted.map(({ part }) => part).sort()).toEqual(['header', 'query'])
  })

  test.each(['Accept', 'X-Author', 'WWW-Authenticate', 'Idempotency-Key', 'key', 'code', 'X-Request-Id'])(
    '%s is kept',
    (name) => {
      const { request, redacted } = redact(recordOf({ headers: [name, 'v4lue'] }), secretsOf())
      expect(request.headers).toEqual([name, 'v4lue'])
      expect(redacted).toEqual([])
    },
  )

  test.each([
    ['{"user":"u","password":"p\\"w","n":1}', '{"user":"u","password":"REDACTED","n":1}'],
    ['{"a":{"accessToken" : "t"}}', '{"a":{"accessToken" : "REDACTED"}}'],
    ['{"nextPageToken":"t","tokens":5}', '{"nextPageToken":"t","tokens":5}'],
    ['{"password":"cut of', '{"password":"REDACTED'],
  ])('fields of JSON: %s', (body, expected) => {
    expect(bodyOf(redact(recordOf({ body }), secretsOf()))).toBe(expected)
  })

  test('fields of forms', () => {
    const headers = ['Content-Type', 'application/x-www-form-urlencoded']
    const body = 'user=u&pass%77ord=p&token=t'
    expect(bodyOf(redact(recordOf({ headers, body }), secretsOf()))).toBe(
      'user=u&pass%77ord=REDACTED&token=t',
    )
  })
})

describe('values of secrets', () => {
  test('of fewer than six bytes are ordinary text, and white space around them does not count', () => {
    expect(bodyOf(redact(recordOf({ body: 'short' }), secretsOf('short')))).toBe('short')
    expect(bodyOf(redact(recordOf({ body: '<abc def>' }), secretsOf(' abc def\n')))).toBe('<REDACTED>')
    expect(bodyOf(redact(recordOf({ body: '<voilà>' }), secretsOf('\u3000voilà\n')))).toBe('<REDACTED>')
  })

  test('leave no trace in a body that is packed, or written in a way that nobody looks for', () => {
    const secrets = secretsOf('sésame-ouvre')
    for (const [encoding, body] of [
      ['gzip', gzipSync('so sésame-ouvre')],
      ['br', brotliCompressSync('so sésame-ouvre')],
      ['identity', Buffer.from('"s\\u00E9same\\u002douvre"')],
      ['identity', Buffer.from('s%C3%A9s%61me-ouvre')],
    ] as const) {
      const headers = ['Content-Encoding', encoding]
      const { requestBody, redacted } = redact(recordOf({ headers, body }), secrets)
      expect(requestBody).toHaveLength(0)
      expect(redacted).toEqual([{ message: 'request', part: 'body' }])
    }
    const harmless = gzipSync('nothing')
    const kept = redact(recordOf({ headers: ['Content-Encoding', 'gzip'], body: harmless }), secrets)
    expect(kept.requestBody).toEqual(harmless)
  })

  test('are found where they begin in the path and end in the query', () => {
    const { path, redacted } = redact(recordOf({ path: '/a/what?is=this&b=1' }), secretsOf('what?is=this'))
    expect(path).toBe('/a/REDACTED&b=1')
    expect(redacted).toEqual([{ message: 'request', part: 'path' }])
  })

  test('leave other bytes as they are', () => {
    const body = Buffer.concat([Buffer.from([0, 255, 128]), Buffer.from('abcdef'), Buffer.from([254])])
    const { requestBody } = redact(recordOf({ body }), secretsOf('abcdef'))
    expect(Buffer.from(requestBody)).toEqual(
      Buffer.concat([Buffer.from([0, 255, 128]), Buffer.from('REDACTED'), Buffer.from([254])]),
    )
  })

  test('are nowhere in the record, whatever they are and wherever they stand', () => {
    const value = fc.string({ unit: 'grapheme', minLength: 6, maxLength: 40 }).filter((text) => {
      const bytes = Buffer.from(text.trim())
      return bytes.length >= 6 && !/^[REDACT]+$/.test(text.trim())
    })
    const around = fc.string({ maxLength: 20 })
    fc.assert(
      fc.property(value, around, around, fc.nat(3), (secret, before, after, cut) => {
        const latin1 = (text: string): string => Buffer.from(text).toString('latin1')
        const trimmed = secret.trim()
        const record = recordOf({
          path: `/${encodeURIComponent(before + secret)}/${latin1(trimmed)}?a=${encodeURIComponent(secret + after)}&${encodeURIComponent(trimmed)}=1`,
          headers: [
            'X-A',
            latin1(before + secret + after),
            'X-B',
            JSON.stringify(secret),
            'Location',
            `/?q=${encodeURIComponent(secret)}`,
          ],
          body: `${before}${secret}${after}${JSON.stringify({ [secret]: [secret] })}${encodeURIComponent(secret)}${Buffer.from(trimmed).toString('base64')}`,
          isCut: cut === 0,
        })
        const safe = redact(record, secretsOf(secret))
        const kept = Buffer.concat([
          Buffer.from(JSON.stringify([safe.path, safe.request.headers, safe.redacted]), 'latin1'),
          safe.requestBody,
        ])
        expect(kept.includes(Buffer.from(trimmed))).toBe(false)
        expect(redact(safe, secretsOf(secret))).toEqual(safe)
      }),
      { numRuns: 300 },
    )
  })

  test('are not begun at the end of a body that was cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 4, max: 15 }), (length) => {
        const secret = 'QWERTYUIOPASDFGH'
        const body = `before ${secret.slice(0, length)}`
        expect(bodyOf(redact(recordOf({ body, isCut: true }), secretsOf(secret)))).toBe('before ')
        expect(bodyOf(redact(recordOf({ body }), secretsOf(secret)))).toBe(body)
      }),
    )
  })
})

test('addresses in headers lose their logins and credentials', () => {
  const headers = [
    'Referer',
    'https://u:p@h/x?a=1&access_token=t#sig=s',
    'Link',
    '<http://h/?token=t>; rel=next',
  ]
  expect(redact(recordOf({ headers }), secretsOf()).request.headers).toEqual([
    'Referer',
    'https://REDACTED@h/x?a=1&access_token=REDACTED#sig=REDACTED',
    'Link',
    '<http://h/?token=REDACTED>; rel=next',
  ])
})
