import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import type { InvocationRecord, MessageHead, Redaction } from '../core/invocation-record.ts'
import { CREDENTIAL_FIELD, CREDENTIAL_IN_JSON, isCredentialName } from './credential-names.ts'
import type { SecretForms } from './secret-forms.ts'

/** Stands where something secret stood: fit for addresses, headers, JSON and forms. */
const REDACTED = 'REDACTED'
/** Of compressed bodies, what is looked through; one that is larger is left out. */
const MOST_UNPACKED = 4 * 2 ** 20

type Note = (part: Redaction['part'], name?: string) => void

/**
 * A record without what lets somebody in: headers, parameters and fields that are named so, and the values of secrets
 * wherever they stand. A second time changes nothing.
 */
export function redact(record: InvocationRecord, secrets: SecretForms): InvocationRecord {
  const redacted: Redaction[] = [...record.redacted]
  const noteFor =
    (message: Redaction['message']): Note =>
    (part, name) => {
      const known = redacted.some((one) => one.message === message && one.part === part && one.name === name)
      if (!known) redacted.push({ message, part, ...(name !== undefined && { name }) })
    }
  const [inRequest, inResponse] = [noteFor('request'), noteFor('response')]
  const { request, response } = record
  const inText = (text: string): string => secrets.replaceIn(text, REDACTED)
  return {
    ...record,
    callId: inText(record.callId),
    ...(record.replayOf !== undefined && { replayOf: inText(record.replayOf) }),
    ...(record.problem !== undefined && { problem: inText(record.problem) }),
    path: redactTarget(record.path, secrets, inRequest),
    request: { ...request, ...redactHead(request, secrets, inRequest) },
    requestBody: redactBody(record.requestBody, request, secrets, inRequest),
    ...(response && { response: { ...response, ...redactHead(response, secrets, inResponse) } }),
    responseBody: redactBody(record.responseBody, response ?? request, secrets, inResponse),
    redacted,
  }
}

function redactHead(
  { headers, trailers }: MessageHead,
  secrets: SecretForms,
  note: Note,
): Pick<MessageHead, 'headers' | 'trailers'> {
  return {
    headers: redactHeaders(headers, secrets, note),
    ...(trailers && { trailers: redactHeaders(trailers, secrets, note) }),
  }
}

function redactHeaders(headers: readonly string[], secrets: SecretForms, note: Note): string[] {
  const safe: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = secrets.replaceIn(headers[i] ?? '', REDACTED)
    const value = headers[i + 1] ?? ''
    const next = isNamedCredential(name) && value !== '' ? REDACTED : redactValue(value, secrets)
    if (next !== value || name !== headers[i]) note('header', name)
    safe.push(name, next)
  }
  return safe
}

/** A challenge tells how to log in; it lets nobody in. */
function isNamedCredential(name: string): boolean {
  return isCredentialName(name) && !/^(www|proxy)-authenticate$/i.test(name)
}

/** Addresses in headers (`Referer`, `Location`, `X-Callback-Url`) have parameters, and may have a login. */
function redactValue(value: string, secrets: SecretForms): string {
  const next = secrets
    .replaceIn(value, REDACTED)
    .replace(/([?&#;])([^=&#;\s]+)=([^&#;\s,"'<>]+)/g, (whole, before: string, name: string) =>
      isCredentialName(unpercent(name)) ? `${before}${name}=${REDACTED}` : whole,
    )
    .replace(/:\/\/[^/?#@\s]+@/g, `://${REDACTED}@`)
  return isCoded(next, secrets) ? REDACTED : next
}

function redactTarget(target: string, secrets: SecretForms, note: Note): string {
  const at = target.indexOf('?')
  const path = at < 0 ? target : target.slice(0, at)
  let safePath = secrets.replaceIn(path, REDACTED)
  if (isCoded(safePath, secrets))
    safePath = safePath
      .split('/')
      .map((part) => (isCoded(part, secrets) ? REDACTED : part))
      .join('/')
  if (isCoded(safePath, secrets)) safePath = `/${REDACTED}`
  if (safePath !== path) note('path')
  if (at < 0) return safePath
  const { text, names } = redactForm(target.slice(at + 1), isCredentialName, secrets)
  for (const name of names) note('query', name)
  const safe = `${safePath}?${text}`
  // One with a question mark in it begins in the path and ends in the query.
  if (!secrets.isInText(safe)) return safe
  note('path')
  return secrets.replaceIn(safe, REDACTED)
}

/** `a=1&b=2`: the values of names that are credentials, and values with secrets in them. */
function redactForm(
  form: string,
  isCredential: (name: string) => boolean,
  secrets: SecretForms,
): { readonly text: string; readonly names: ReadonlySet<string> } {
  const names = new Set<string>()
  const text = form
    .split('&')
    .map((pair) => {
      const at = pair.indexOf('=')
      const name = unpercent(at < 0 ? pair : pair.slice(0, at))
      const value = at < 0 ? '' : pair.slice(at + 1)
      const isSecret =
        (value !== '' && isCredential(name)) || secrets.isInText(pair) || isCoded(pair, secrets)
      if (!isSecret || value === REDACTED) return pair
      const safe = secrets.isInText(name) || at < 0 ? REDACTED : name
      names.add(safe)
      return safe === name ? `${pair.slice(0, at)}=${REDACTED}` : REDACTED
    })
    .join('&')
  // Over several parameters.
  if (!secrets.isInText(text) && !isCoded(text, secrets)) return { text, names }
  return { text: REDACTED, names: names.add(REDACTED) }
}

function redactBody(body: Uint8Array, head: MessageHead, secrets: SecretForms, note: Note): Uint8Array {
  if (body.length === 0) return body
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  const safe = redactBytes(bytes, head, secrets)
  if (safe === bytes) return body
  note('body')
  return safe
}

/** The same buffer when there is nothing to be taken out; empty when it cannot be taken out. */
function redactBytes(bytes: Buffer, head: MessageHead, secrets: SecretForms): Buffer {
  const encoding = valueOf(head.headers, 'content-encoding')
  if (encoding !== undefined && encoding !== 'identity') return redactPacked(bytes, encoding, secrets)
  const text = bytes.toString('latin1')
  let safe = secrets.replaceIn(text, REDACTED)
  if (isText(bytes)) {
    safe = safe.replace(CREDENTIAL_IN_JSON, (_whole, before: string, value: string) =>
      value === '' ? before : `${before}${REDACTED}`,
    )
    if (isForm(head)) safe = redactForm(safe, (name) => CREDENTIAL_FIELD.test(name), secrets).text
    if (isHidden(safe, secrets)) return Buffer.alloc(0)
  }
  const begun = head.isCut ? secrets.begunAtEndOf(Buffer.from(safe, 'latin1')) : 0
  if (begun > 0) safe = safe.slice(0, -begun)
  return safe === text ? bytes : Buffer.from(safe, 'latin1')
}

/** Something secret in a form that is none of those which are looked for, such as `\u0041bc` in JSON. */
function isHidden(text: string, secrets: SecretForms): boolean {
  if (secrets.isEmpty) return false
  return (text.includes('\\') && secrets.isInDecoded(unescapeJson(text))) || isCoded(text, secrets)
}

/** What is packed stays as it is, or goes as a whole. */
function redactPacked(bytes: Buffer, encoding: string, secrets: SecretForms): Buffer {
  const unpacked = unpack(bytes, encoding)
  if (unpacked === 'unknown') return secrets.isIn(bytes) ? Buffer.alloc(0) : bytes
  if (unpacked === 'too large') return Buffer.alloc(0)
  const plain = { headers: [], bodyBytes: unpacked.length }
  return redactBytes(unpacked, plain, secrets) === unpacked ? bytes : Buffer.alloc(0)
}

function unpack(bytes: Buffer, encoding: string): Buffer | 'unknown' | 'too large' {
  const options = { maxOutputLength: MOST_UNPACKED }
  // The beginning of something longer is read as far as it goes.
  const cut = { ...options, finishFlush: 2 }
  try {
    switch (encoding.trim().toLowerCase()) {
      case 'gzip':
      case 'x-gzip':
        return gunzipSync(bytes, cut)
      case 'deflate':
        return inflateSync(bytes, cut)
      case 'br':
        return brotliDecompressSync(bytes, { ...options, finishFlush: 1 })
      default:
        return 'unknown'
    }
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? 'too large' : 'unknown'
  }
}

function isText(bytes: Buffer): boolean {
  return !bytes.subarray(0, 1024).includes(0)
}

function isForm({ headers }: MessageHead): boolean {
  return valueOf(headers, 'content-type')?.startsWith('application/x-www-form-urlencoded') === true
}

/** Whether a secret is in what was written for an address or a form. */
function isCoded(text: string, secrets: SecretForms): boolean {
  if (secrets.isEmpty || !/[%+]/.test(text)) return false
  return secrets.isInDecoded(unpercent(text)) || secrets.isInDecoded(unpercent(text.replaceAll('+', '%2b')))
}

/** One character a byte in, and out. */
function unpercent(text: string): string {
  if (!/[%+]/.test(text)) return text
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9a-f]{2})/gi, (_whole, hex: string) => String.fromCharCode(parseInt(hex, 16)))
}

const JSON_ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }

function unescapeJson(text: string): string {
  return text.replace(/(?:\\u[0-9a-f]{4})+|\\./gis, (escape) => {
    const [, letter = ''] = escape
    if (letter !== 'u') return JSON_ESCAPES[letter] ?? letter
    const units = [...escape.matchAll(/[0-9a-f]{4}/gi)].map(([hex]) => parseInt(hex, 16))
    return Buffer.from(String.fromCharCode(...units), 'utf8').toString('latin1')
  })
}

function valueOf(headers: readonly string[], name: string): string | undefined {
  const at = headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name)
  return at < 0 ? undefined : headers[at + 1]
}
