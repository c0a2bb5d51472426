import { createHash } from 'node:crypto'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import { jsonDifferences } from './json-difference.ts'
import type { JsonDifference } from './json-difference.ts'
import { lineDifferences } from './line-difference.ts'
import type { LineChange } from './line-difference.ts'
import { bodyOf } from './wire-invocations.ts'
import type { WireInvocation, WireMessage } from './wire-invocations.ts'

/** In what two answers differ; what is absent is the same in both. */
export interface AnswerDifference {
  readonly status?: { readonly before: number; readonly after: number }
  /** Whether it came to its end, or what the platform said instead of the function. */
  readonly ending?: { readonly before: string; readonly after: string }
  readonly headers: readonly HeaderDifference[]
  readonly body?: BodyDifference
  /** Bodies were compared only so far: more is not kept. Bytes. */
  readonly comparedBytes?: number
}

interface HeaderDifference {
  readonly name: string
  readonly before?: string
  readonly after?: string
}

export type BodyDifference =
  | { readonly kind: 'json'; readonly changes: readonly JsonDifference[] }
  | { readonly kind: 'text'; readonly changes: readonly LineChange[] }
  | { readonly kind: 'binary'; readonly before: string; readonly after: string }

/** Of every answer anew: they tell of the call, or of the connection. */
const VOLATILE = new Set([
  'date',
  'x-call-id',
  'x-duration-seconds',
  'x-start-time',
  'x-served-by',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'age',
])
/** They follow from the body: said only where the bodies are the same. */
const OF_THE_BODY = new Set([
  'content-length',
  'etag',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
])
/** Ends that are not the function's doing. */
const NOT_ITS_DOING = new Set(['the caller went away', 'the gateway stopped', 'the gateway ended'])

/**
 * Compares what a kept invocation was answered with what its replay was. `ignored`: names of headers, and paths into JSON
 * (`.results[*].at`, where `*` is any one step) with all that is below them.
 */
export function answerDifference(
  before: WireInvocation,
  after: WireInvocation,
  ignored: readonly string[] = [],
): AnswerDifference {
  const [a, b] = [decoded(before.response), decoded(after.response)]
  const isCut = a.isCut || b.isCut
  const common = isCut ? Math.min(a.bytes.length, b.bytes.length) : Infinity
  const [from, to] = [a.bytes.subarray(0, common), b.bytes.subarray(0, common)]
  const sameBody = from.equals(to)
  const body = sameBody ? bodyBeyond(before, after, isCut) : bodyDifference(from, to, isIgnored(ignored))
  const ending = { before: endingOf(before), after: endingOf(after) }
  const [status, other] = [before.status ?? 0, after.status ?? 0]
  return {
    ...(status !== other && { status: { before: status, after: other } }),
    ...((ending.before === WHOLE) !== (ending.after === WHOLE) && { ending }),
    headers: headerDifferences(before, after, {
      ignored: new Set(ignored.map((name) => name.toLowerCase())),
      sameBody: sameBody && body === undefined,
    }),
    ...(body && { body }),
    ...(isCut && { comparedBytes: common }),
  }
}

export function isSameAnswer({ status, ending, headers, body }: AnswerDifference): boolean {
  return !status && !ending && headers.length === 0 && !body
}

/** What is kept is the same; the rest may be longer or shorter. */
function bodyBeyond(
  before: WireInvocation,
  after: WireInvocation,
  isCut: boolean,
): BodyDifference | undefined {
  const [a, b] = [before.responseBytes, after.responseBytes]
  if (!isCut || a === b || before.state !== 'ended' || after.state !== 'ended') return undefined
  return { kind: 'binary', before: `${a} bytes`, after: `${b} bytes` }
}

const WHOLE = 'whole'

function endingOf({ problem, state }: WireInvocation): string {
  if (problem === undefined) return state === 'broken' ? 'broken off' : WHOLE
  return NOT_ITS_DOING.has(problem) ? WHOLE : problem
}

function headerDifferences(
  before: WireInvocation,
  after: WireInvocation,
  { ignored, sameBody }: { ignored: ReadonlySet<string>; sameBody: boolean },
): HeaderDifference[] {
  const [a, b] = [byName(before.response), byName(after.response)]
  return [...new Set([...a.keys(), ...b.keys()])].sort().flatMap((name) => {
    const [was, is] = [a.get(name), b.get(name)]
    if (was === is || VOLATILE.has(name) || ignored.has(name)) return []
    if (OF_THE_BODY.has(name) && !sameBody) return []
    // Whether the length is told ahead is a matter of how it is sent.
    if (name === 'content-length' && before.method !== 'HEAD') return []
    return [{ name, ...(was !== undefined && { before: was }), ...(is !== undefined && { after: is }) }]
  })
}

function byName(message: WireMessage | undefined): Map<string, string> {
  const found = new Map<string, string>()
  for (const [name, value] of [...(message?.headers ?? []), ...(message?.trailers ?? [])]) {
    const known = found.get(name.toLowerCase())
    found.set(name.toLowerCase(), known === undefined ? value : `${known}, ${value}`)
  }
  return found
}

function bodyDifference(
  before: Buffer,
  after: Buffer,
  ignores: (path: string) => boolean,
): BodyDifference | undefined {
  const [a, b] = [textOf(before), textOf(after)]
  if (a === undefined || b === undefined)
    return { kind: 'binary', before: printOf(before), after: printOf(after) }
  const [was, is] = [jsonOf(a), jsonOf(b)]
  if (was === undefined || is === undefined || longNumbers(a) !== longNumbers(b))
    return { kind: 'text', changes: lineDifferences(a, b) }
  const changes = jsonDifferences(was.value, is.value).filter(({ path }) => !ignores(path))
  return changes.length === 0 ? undefined : { kind: 'json', changes }
}

/** Those that JavaScript cannot tell apart. */
function longNumbers(text: string): string {
  return (text.match(/\d{16,}/g) ?? []).sort().join()
}

function textOf(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8')
  return Buffer.from(text).equals(bytes) && !text.includes('\0') ? text : undefined
}

function jsonOf(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return undefined
  }
}

function printOf(bytes: Buffer): string {
  return `${bytes.length} bytes, sha256 ${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}`
}

function isIgnored(ignored: readonly string[]): (path: string) => boolean {
  const patterns = ignored
    .filter((one) => /^[.[]/.test(one))
    .map((one) => {
      const text = one.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&')
      return new RegExp(`^${text.replace(/\\\.\\\*|\\\[\\\*\\\]/g, '(\\.\\w+|\\[[^\\]]*\\])')}(?![\\w])`)
    })
  return (path) => patterns.some((pattern) => pattern.test(path))
}

interface Decoded {
  readonly bytes: Buffer
  readonly isCut: boolean
}

/** Without the packing that it came in, where that is known and all of it is there. */
function decoded(message: WireMessage | undefined): Decoded {
  if (!message) return { bytes: Buffer.alloc(0), isCut: false }
  const bytes = bodyOf(message)
  const isCut = message.truncated === true
  const encoding = message.headers.find(([name]) => name.toLowerCase() === 'content-encoding')?.[1]
  const unpack = encoding === undefined || isCut ? undefined : UNPACK[encoding.toLowerCase()]
  try {
    return { bytes: unpack ? unpack(bytes) : bytes, isCut }
  } catch {
    return { bytes, isCut }
  }
}

const UNPACK: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  gzip: (bytes) => gunzipSync(bytes),
  'x-gzip': (bytes) => gunzipSync(bytes),
  deflate: (bytes) => inflateSync(bytes),
  br: (bytes) => brotliDecompressSync(bytes),
}
