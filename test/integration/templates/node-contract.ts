import { deflateSync, gzipSync } from 'node:zlib'
import type { Call } from './call.ts'

/** The official wrapper is Express 4 up to Node 20 and Express 5 from Node 22 on. */
export type Era = 'express4' | 'express5'

export const eraOf = (major: number): Era => (major >= 22 ? 'express5' : 'express4')

export interface Expected {
  readonly status?: number
  /** The whole Content-Type; null when there must be none. */
  readonly type?: string | null
  readonly body?: string | RegExp
  readonly headers?: Readonly<Record<string, string>>
}

/** One row: what the handler does, what is asked, what must come back. */
export interface ContractRow {
  readonly says: string
  /** Source of the handler; plain enough for Node 12. */
  readonly handler: string
  readonly call?: Call
  readonly answers: Expected | Readonly<Record<Era, Expected>>
  /** Set where we answer otherwise than the official template on purpose. */
  readonly differs?: Difference | readonly Difference[]
}

/** Why a row is not asked of an official image; `only` says which parts of the answer are the same nevertheless. */
interface Difference {
  readonly reason: string
  /** Without it the row differs on both. */
  readonly era?: Era
  readonly same?: 'status'
}

const limitsNamed: Difference = { reason: 'the text of a refusal names the limit', same: 'status' }

const html = 'text/html; charset=utf-8'
const json = 'application/json; charset=utf-8'
const plain = 'text/plain; charset=utf-8'

/** Shows the body as the handler sees it: its type, and it as JSON. */
const showBody = `(event) => (event.body === undefined ? 'undefined'
  : (Buffer.isBuffer(event.body) ? 'buffer ' + event.body.toString('utf8') : typeof event.body + ' ' + JSON.stringify(event.body)))`

const post = (type: string | undefined, body: string): Call => ({
  method: 'POST',
  body,
  headers: type === undefined ? {} : { 'Content-Type': type },
})

const nothing = { express4: { body: 'object {}' }, express5: { body: 'undefined' } } as const
const form = 'application/x-www-form-urlencoded'

type BodyRow = readonly [says: string, call: Call, answers: ContractRow['answers'], differs?: Difference]

const bodyRow = ([says, call, answers, differs]: BodyRow): ContractRow => ({
  says,
  call,
  answers,
  handler: showBody,
  ...(differs && { differs }),
})

const bodyRows: readonly BodyRow[] = [
  ['a body without a content type is text', post(undefined, 'hi'), { body: 'string "hi"' }],
  ['text/* is a string', post('text/csv', 'a,b'), { body: 'string "a,b"' }],
  ['a charset is honoured', { ...post('text/plain; charset=iso-8859-1', ''), body: Buffer.from([0xe4]) }, { body: 'string "ä"' }],
  ['an unknown charset is 415', post('text/plain; charset=bogus', 'x'), { status: 415 }],
  ['an empty text is an empty string', post('text/plain', ''), { body: 'string ""' }],
  ['a JSON object is parsed', post('application/json', '{"a":[1]}'), { body: 'object {"a":[1]}' }],
  ['a JSON array is parsed', post('application/json; charset=utf-8', ' [1]'), { body: 'object [1]' }],
  ['a content type in capitals is the same', post('APPLICATION/JSON', '[1]'), { body: 'object [1]' }],
  ['an empty JSON body is an empty object', post('application/json', ''), { body: 'object {}' }],
  ['broken JSON is 400', post('application/json', '{"a":'), { status: 400 }],
  ['a JSON string is 400', post('application/json', '"s"'), { status: 400 }],
  ['a JSON number is 400', post('application/json', '5'), { status: 400 }],
  ['JSON null is 400', post('application/json', 'null'), { status: 400 }],
  ['+json is no JSON', post('application/vnd.api+json', '{}'), nothing],
  ['a form is an object', post(form, 'a=1&b=x+y'), { body: 'object {"a":"1","b":"x y"}' }],
  ['a form may nest', post(form, 'a[b][c]=1&l[]=2&l[]=3'), { body: 'object {"a":{"b":{"c":"1"}},"l":["2","3"]}' }],
  ['a form names array places', post(form, 'a[1]=y&a[0]=x'), { body: 'object {"a":["x","y"]}' }],
  ['a form with objects in an array', post(form, 'a[0][b]=1&a[0][c]=2'), { body: 'object {"a":[{"b":"1","c":"2"}]}' }],
  ['a form cannot reach a prototype', post(form, '__proto__[x]=1&a=2'), { body: 'object {"a":"2"}' }],
  ['a form nested too deep is 400', post(form, `a${'[x]'.repeat(40)}=1`), { status: 400 }],
  ['a form with too many fields is 413', post(form, 'a=1&'.repeat(1000) + 'a=1'), { status: 413 }],
  ['octets are not parsed', post('application/octet-stream', 'x'), nothing],
  ['multipart is not parsed', post('multipart/form-data; boundary=x', 'x'), nothing],
  [
    'a content type that is none is not parsed',
    post('foo', 'x'),
    nothing,
    { reason: 'Express 5 answers 500 to it', era: 'express5' },
  ],
  ['no body', { method: 'GET' }, nothing],
  ['100 kB of text are taken', post('text/plain', 'x'.repeat(102400)), { status: 200 }],
  ['more text is 413', post('text/plain', 'x'.repeat(102401)), { status: 413, body: /100kb/ }, limitsNamed],
  ['more than 100 kB of JSON is 413', post('application/json', `["${'x'.repeat(102400)}"]`), { status: 413, body: /102404.*100kb/ }, limitsNamed],
  [
    'more than 100 kB in chunks is 413',
    { method: 'POST', headers: { 'Content-Type': 'text/plain', 'Transfer-Encoding': 'chunked' }, body: 'x'.repeat(102401) },
    { status: 413 },
  ],
  [
    'a gzipped body is unpacked',
    { method: 'POST', headers: { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip' }, body: gzipSync('packed') },
    { body: 'string "packed"' },
  ],
  [
    'a deflated body is unpacked',
    { method: 'POST', headers: { 'Content-Type': 'application/json', 'Content-Encoding': 'deflate' }, body: deflateSync('{"a":1}') },
    { body: 'object {"a":1}' },
  ],
  [
    'a body that only claims to be gzipped is 400',
    { method: 'POST', headers: { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip' }, body: 'plain' },
    { status: 400 },
  ],
  [
    'an unknown content encoding is 415',
    { method: 'POST', headers: { 'Content-Type': 'text/plain', 'Content-Encoding': 'x-own' }, body: 'x' },
    { status: 415 },
  ],
  [
    'a body that unpacks to more than the limit is 413',
    { method: 'POST', headers: { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip' }, body: gzipSync('x'.repeat(102401)) },
    { status: 413 },
  ],
]
const bodies = bodyRows.map(bodyRow)

const events: readonly ContractRow[] = [
  {
    says: 'event has these members, in this order',
    handler: 'async (event) => Object.keys(event)',
    answers: { body: '["body","headers","method","query","path"]' },
  },
  {
    says: 'the method is upper case, and the path has no query',
    handler: 'async (event) => event.method + " " + event.path',
    call: { method: 'DELETE', path: '/a/b%20c/?x=1' },
    answers: { body: /^DELETE \/[^?]*\/a\/b%20c\/$/ },
  },
  {
    says: 'headers are lower case, and a missing content type is text/plain',
    handler: 'async (event) => event.headers["x-thing"] + " " + event.headers["content-type"]',
    call: { headers: { 'X-Thing': 'Y' } },
    answers: { body: 'Y text/plain' },
  },
  {
    says: 'a header that comes twice is joined',
    handler: 'async (event) => event.headers["x-multi"] + " | " + event.headers["cookie"]',
    call: { headers: { 'X-Multi': ['a', 'b'], Cookie: ['c=1', 'd=2'] } },
    answers: { body: 'a, b | c=1; d=2' },
  },
  {
    says: 'repeated query parameters are an array',
    handler: 'async (event) => JSON.stringify(event.query)',
    call: { path: '?a=1&a=2&b=%E4%B8%AD' },
    answers: { body: '{"a":["1","2"],"b":"中"}' },
  },
  {
    says: 'brackets in a query nest up to Node 20 and are plain from Node 22 on',
    handler: 'async (event) => JSON.stringify(event.query)',
    call: { path: '?a[b]=1&c[]=2' },
    answers: { express4: { body: '{"a":{"b":"1"},"c":["2"]}' }, express5: { body: '{"a[b]":"1","c[]":"2"}' } },
  },
  {
    says: 'a path that cannot be decoded is 400',
    handler: 'async () => "reached"',
    call: { path: '/%zz' },
    answers: { status: 400 },
  },
  { says: 'HEAD is answered without a body', handler: 'async () => "hello"', call: { method: 'HEAD' }, answers: { status: 200, body: '', headers: { 'content-length': '5' } } },
  { says: 'OPTIONS reaches the handler', handler: 'async (e) => e.method', call: { method: 'OPTIONS' }, answers: { body: 'OPTIONS' } },
  {
    says: 'a method without a route is 404 up to Node 20, and reaches the handler from Node 22 on',
    handler: 'async (e) => e.method',
    call: { method: 'PROPFIND' },
    answers: { express4: { status: 404, body: /Cannot PROPFIND/ }, express5: { status: 200, body: 'PROPFIND' } },
  },
]

const result = (says: string, value: string, answers: ContractRow['answers']): ContractRow => ({
  says,
  handler: `async () => (${value})`,
  answers,
})

const results: readonly ContractRow[] = [
  result('a string is HTML', '"hi"', { status: 200, type: html, body: 'hi' }),
  result('an object is JSON sent as HTML', '{ a: 1 }', { type: html, body: '{"a":1}' }),
  result('an array is JSON sent as HTML', '[1, "x"]', { type: html, body: '[1,"x"]' }),
  result('an object of a class is JSON', 'new (class A { constructor() { this.z = 1 } })()', { type: json, body: '{"z":1}' }),
  result('a Date is JSON', 'new Date(0)', { type: json, body: '"1970-01-01T00:00:00.000Z"' }),
  result('a Buffer is octets', 'Buffer.from("bin")', { type: 'application/octet-stream', body: 'bin' }),
  result('a typed array is JSON, and octets from Node 22 on', 'new Uint8Array([65, 66])', {
    express4: { type: json, body: '{"0":65,"1":66}' },
    express5: { type: 'application/octet-stream', body: 'AB' },
  }),
  result('a boolean is JSON', 'true', { type: json, body: 'true' }),
  result('null is empty', 'null', { status: 200, type: null, body: '' }),
  result('undefined is empty', 'undefined', { status: 200, type: null, body: '' }),
  result('a number is the status up to Node 20, JSON from Node 22 on', '404', {
    express4: { status: 404, type: plain, body: 'Not Found' },
    express5: { status: 200, type: json, body: '404' },
  }),
  result('a number that is no status is an error', '7', {
    express4: { body: /Invalid status code: 7/ },
    express5: { body: '7' },
  }),
  result('a circular object is an error with its text', '(() => { const a = {}; a.a = a; return a })()', {
    status: 200,
    body: /circular/i,
  }),
  result('a function cannot be sent', '() => 1', { body: /TypeError/ }),
]

const contexts: readonly ContractRow[] = [
  {
    says: 'status() and headers() set, chain and get',
    handler: `(e, c) => c.headers({ 'X-A': 'b' }).status(202).succeed(JSON.stringify([c.status(), c.headers(), c.cbCalled]))`,
    answers: { status: 202, body: '[202,{"X-A":"b"},0]', headers: { 'x-a': 'b' } },
  },
  { says: 'status(0) is a getter', handler: '(e, c) => String(c.status(0))', answers: { status: 200, body: '200' } },
  {
    says: 'headers() replaces all',
    handler: `(e, c) => c.headers({ 'x-a': '1' }).headers({ 'x-b': '2' }).succeed(String(Object.keys(c.headers())))`,
    answers: { body: 'x-b' },
  },
  {
    says: 'a content type of the handler gets its charset',
    handler: `(e, c) => c.headers({ 'Content-Type': 'application/json' }).succeed({ a: 1 })`,
    answers: { type: json, body: '{"a":1}' },
  },
  {
    says: 'a Buffer keeps the content type of the handler',
    handler: `(e, c) => c.headers({ 'content-type': 'image/png' }).succeed(Buffer.from('x'))`,
    answers: { type: 'image/png' },
  },
  {
    says: 'a string is sent as UTF-8 whatever the handler says',
    handler: `(e, c) => c.headers({ 'content-type': 'text/plain; charset=iso-8859-1' }).succeed('ä')`,
    answers: { type: plain, body: 'ä' },
  },
  {
    says: 'several values of a header are several lines',
    handler: `(e, c) => c.headers({ 'set-cookie': ['a=1', 'b=2'], 'X-N': 5 }).succeed('x')`,
    answers: { headers: { 'set-cookie': 'a=1,b=2', 'x-n': '5' } },
  },
  { says: 'fail() is a 500 with the text of the error', handler: `(e, c) => c.fail(new Error('boom'))`, answers: { status: 500, type: html, body: 'Error: boom' } },
  { says: 'fail() keeps a status that was set', handler: `(e, c) => c.status(422).fail('no')`, answers: { status: 422, body: 'no' } },
  {
    says: 'fail() sends no headers of the handler',
    handler: `(e, c) => c.headers({ 'x-a': '1', 'content-type': 'text/plain' }).fail('oops')`,
    answers: { status: 500, type: html, headers: { 'x-a': 'undefined' } },
  },
  {
    says: 'fail() without an error is an empty 500, with the headers',
    handler: `(e, c) => c.headers({ 'x-a': '1' }).fail()`,
    answers: { status: 500, body: '', headers: { 'x-a': '1' } },
  },
  { says: 'the third argument answers', handler: `(e, c, cb) => cb(undefined, 'via')`, answers: { body: 'via' } },
  { says: 'the third argument fails with the current status', handler: `(e, c, cb) => cb(new Error('cbe'))`, answers: { status: 200, body: 'Error: cbe' } },
  { says: 'cb is on the context too', handler: `(e, c) => { c.status(201); c.cb(null, { a: 1 }) }`, answers: { status: 201, body: '{"a":1}' } },
  {
    says: 'the context itself is sent as its JSON when succeed() is forgotten',
    handler: '(e, c) => c',
    answers: { type: json, body: '{"statusCode":200,"headerValues":{},"cbCalled":1}' },
  },
  {
    says: 'a value returned after succeed() is ignored',
    handler: `async (e, c) => { c.succeed('first'); return 'second' }`,
    answers: { body: 'first' },
  },
  { says: 'a second succeed() is ignored', handler: `async (e, c) => { c.succeed('first'); c.succeed('second') }`, answers: { body: 'first' } },
  { says: 'a rejection answers with the current status', handler: `async () => { throw new Error('boom') }`, answers: { status: 200, type: html, body: 'Error: boom' } },
  { says: 'a rejection keeps a status that was set', handler: `async (e, c) => { c.status(418); throw new Error('tea') }`, answers: { status: 418, body: 'Error: tea' } },
  { says: 'a rejection with nothing is an empty answer', handler: '() => Promise.reject()', answers: { status: 200, body: '' } },
  {
    says: 'a synchronous throw is a 500',
    handler: `() => { throw new Error('sync') }`,
    answers: { status: 500, body: 'Error: sync' },
    differs: [
      { reason: 'up to Node 20 the official process dies of it, with every call in flight', era: 'express4' },
      { reason: 'from Node 22 it is a page of Express, with the stack', era: 'express5', same: 'status' },
    ],
  },
  {
    says: 'cbCalled counts',
    handler: `(e, c, cb) => { c.cb = () => {}; c.succeed(); c.fail(); cb(undefined, String(c.cbCalled)) }`,
    answers: { status: 500, body: '2' },
  },
  { says: '204 has no body', handler: `(e, c) => c.status(204).succeed('x')`, answers: { status: 204, type: null, body: '' } },
  {
    says: 'a status that cannot be sent is a 500',
    handler: '(e, c) => c.status(7).succeed("x")',
    answers: { status: 500 },
    differs: { reason: 'up to Node 20 the official wrapper sends no answer at all', era: 'express4' },
  },
  {
    says: 'a header that cannot be sent is an error, with the headers before it',
    handler: `async (e, c) => c.headers({ 'x-ok': '1', 'x y': '2' }).succeed('z')`,
    answers: { status: 200, body: /ERR_INVALID_HTTP_TOKEN/, headers: { 'x-ok': '1' } },
  },
  {
    says: 'a header that announces trailers is left out: there are none',
    handler: `(e, c) => c.headers({ Trailer: 'X-Sum', 'x-ok': '1' }).succeed('z')`,
    answers: { status: 200, body: 'z', headers: { 'x-ok': '1' } },
    differs: { reason: 'up to Node 20 the official process dies of it, from Node 22 it is a page of Express' },
  },
  { says: 'big answers arrive whole', handler: `async () => 'x'.repeat(5000000)`, answers: { headers: { 'content-length': '5000000' } } },
]

/** Contract 7.1, row by row. */
export const nodeContract: readonly ContractRow[] = [...bodies, ...events, ...results, ...contexts]

/* The same with RAW_BODY=true MAX_RAW_SIZE=1kb MAX_JSON_SIZE=1kb. */
const rawRows: readonly BodyRow[] = [
  ['JSON is a Buffer', post('application/json', '{"a"'), { body: 'buffer {"a"' }],
  ['any type is a Buffer', post('application/octet-stream', 'x'), { body: 'buffer x' }],
  ['a body without a content type is a Buffer', post(undefined, 'x'), { body: 'buffer x' }],
  ['MAX_RAW_SIZE is the limit', post('text/plain', 'x'.repeat(1025)), { status: 413, body: /1kb/ }, limitsNamed],
  ['a body of MAX_RAW_SIZE is taken', post('text/plain', 'x'.repeat(1024)), { status: 200 }],
  ['no body is no Buffer', { method: 'GET' }, nothing],
]
export const rawContract = rawRows.map(bodyRow)

/* The same with MAX_JSON_SIZE=200kb. */
const jsonSizeRows: readonly BodyRow[] = [
  ['MAX_JSON_SIZE raises the limit of JSON', post('application/json', `["${'x'.repeat(150_000)}"]`), { status: 200 }],
  ['MAX_JSON_SIZE is a limit', post('application/json', `["${'x'.repeat(210_000)}"]`), { status: 413, body: /200kb/ }, limitsNamed],
  ['MAX_JSON_SIZE does not raise that of text', post('text/plain', 'x'.repeat(150_000)), { status: 413 }],
]
export const jsonSizeContract = jsonSizeRows.map(bodyRow)

/** One handler.js that holds all handlers of a table; the first step of the path says which row is meant. */
export function handlerOf(rows: readonly ContractRow[]): string {
  const handlers = rows.map((row) => `  ${row.handler},\n`).join('')
  return `const rows = [\n${handlers}]\nmodule.exports = (event, context, cb) => rows[Number(event.path.split('/')[1])](event, context, cb)\n`
}

/** The call of row `index`, addressed to its handler. */
export function callOf(rows: readonly ContractRow[], index: number): Call {
  const call = rows[index]?.call ?? {}
  return { ...call, path: `/${String(index)}${call.path ?? ''}` }
}

export function expectedOf(row: ContractRow, era: Era): Expected {
  return 'express4' in row.answers ? row.answers[era] : row.answers
}

/** How a row differs from the official templates of that era. */
export function differenceOf(row: ContractRow, era: Era): Difference | undefined {
  return [row.differs ?? []].flat().find((one) => one.era === undefined || one.era === era)
}

/** What an official image must answer to a row; undefined where it differs on purpose. */
export function officialExpectedOf(row: ContractRow, era: Era): Expected | undefined {
  const expected = expectedOf(row, era)
  const differs = differenceOf(row, era)
  if (differs === undefined) return expected
  return differs.same === 'status' ? { status: expected.status ?? 200 } : undefined
}
