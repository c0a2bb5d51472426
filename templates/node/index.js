'use strict'
// The Node runtime of a function: no dependencies, plain enough for Node 12. This file answers calls; load.js finds the
// handler; what a swap to a newer handler needs is in swap.js and its neighbours, and only loaded where swapping is on.
//
// It serves port 8080 itself and is its own watchdog, so a call meets no extra hop. What a handler sees and what its
// answers become follows the official Node templates: up to Node 20 those behave as Express 4 does, from Node 22 as
// Express 5 does. README.md lists what differs on purpose.

const http = require('http')
const fs = require('fs')
const path = require('path')
const { findHandler, loadHandler, hintFor } = require('./load')
// Here and not where a time limit asks for it: by then there may be no file descriptor left to read it with.
const debuggerRoute = require('./debugger')

const env = process.env
const nodeMajor = Number(process.versions.node.split('.')[0])
/** From Node 22 the official wrapper is Express 5, which changed bodies, queries, numbers, methods and throws. */
const express5 = nodeMajor >= 22
const handlerFolder = path.join(__dirname, 'function')
/** Ends the process whoever's code is running; swap.js has a say in what handlers call. */
const exitProcess = process.exit.bind(process)

// --------------------------------------------------------------------------------------------------------------- log

function stamp() {
  const now = new Date()
  const two = (n) => (n < 10 ? '0' + n : String(n))
  return (
    `${now.getFullYear()}/${two(now.getMonth() + 1)}/${two(now.getDate())} ` +
    `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`
  )
}

const bareStderr = process.stderr.write.bind(process.stderr)
let waitingLines = ''

/** The watchdog's own lines are gathered for a moment: one write per request would halve the throughput. */
function log(line) {
  if (waitingLines === '') setTimeout(flushLog, 20).unref()
  waitingLines += `${stamp()} ${line}\n`
}

function flushLog() {
  const lines = waitingLines
  waitingLines = ''
  if (lines !== '') bareStderr(lines)
}

/** A line that never ends must not be kept for ever: this much is passed on as if it had ended. */
const longestLine = 65536
/** Ends the lines that the handler has begun, per stream. */
const lineEnds = []

/** `prefix_logs`: what the handler prints gets a time and the name of the stream, line by line. */
function prefixStream(stream, name) {
  const { StringDecoder } = require('string_decoder')
  const write = stream.write.bind(stream)
  const decoder = new StringDecoder('utf8')
  let rest = ''
  const prefixed = (line) => `${stamp()} ${name}: ${line}\n`
  stream.write = (chunk, encoding, done) => {
    const after = typeof encoding === 'function' ? encoding : done
    const isText = typeof chunk === 'string' && (typeof encoding !== 'string' || /^utf-?8$/i.test(encoding))
    // A character may come in two pieces.
    const text = isText ? decoder.end() + chunk : decoder.write(Buffer.from(chunk, encoding))
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    while (rest.length >= longestLine) {
      lines.push(rest.slice(0, longestLine))
      rest = rest.slice(longestLine)
    }
    if (lines.length === 0) {
      if (after) process.nextTick(after)
      return true
    }
    return write(lines.map(prefixed).join(''), after)
  }
  lineEnds.push(() => {
    const line = rest + decoder.end()
    rest = ''
    if (line !== '') write(prefixed(line))
  })
}

/** 230B, 1.5kB: as Docker's units library prints sizes, four significant digits. */
function humanSize(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let size = bytes
  let unit = 0
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000
    unit += 1
  }
  return Number(size.toPrecision(4)) + units[unit]
}

// ---------------------------------------------------------------------------------------------------------- settings

const durationUnits = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60000, h: 3600000 }
const durationPart = '(\\d+(?:\\.\\d*)?|\\.\\d+)(ns|us|µs|μs|ms|s|m|h)'
const wholeDuration = new RegExp(`^\\+?(?:${durationPart})+$`)

/** What a timer takes, 24 days: a longer one would fire at once. */
const longest = 2147483647

/** Milliseconds of a Go duration (`1m30s`), undefined when it is none. */
function goDuration(text) {
  if (text === '0') return 0
  if (!wholeDuration.test(text)) return undefined
  let total = 0
  text.replace(new RegExp(durationPart, 'g'), (_, amount, unit) => {
    total += Number(amount) * durationUnits[unit]
    return ''
  })
  return Math.min(total, longest)
}

/** A time limit from the environment in milliseconds: a Go duration or whole seconds. 0 means no limit. */
function timeLimit(name, fallback) {
  const text = env[name]
  if (text === undefined || text === '') return { ms: goDuration(fallback), text: fallback }
  const ms = /^\d+$/.test(text) ? Math.min(Number(text) * 1000, longest) : goDuration(text)
  if (ms !== undefined) return { ms, text: /^\d+$/.test(text) ? text + 's' : text }
  log(`${name}=${text} is no duration such as 10s, 1m30s or whole seconds; ${fallback} is used`)
  return { ms: goDuration(fallback), text: fallback }
}

function wholeNumber(name, fallback) {
  const text = env[name]
  if (text === undefined || text === '') return fallback
  if (/^\d+$/.test(text)) return Number(text)
  log(`${name}=${text} is no whole number; ${fallback} is used`)
  return fallback
}

function flag(name, fallback) {
  const text = env[name]
  return text === undefined || text === '' ? fallback : text === 'true' || text === '1'
}

/** Bytes of a size as the `bytes` package writes it (`100kb`, `1mb`, `2048`): what MAX_RAW_SIZE and MAX_JSON_SIZE take. */
function sizeLimit(name) {
  const text = env[name] || '100kb'
  const match = /^(\d+(?:\.\d+)?) *(b|kb|mb|gb|tb|pb)?$/i.exec(text)
  if (!match) {
    log(`${name}=${text} is no size such as 100kb, 5mb or a number of bytes; 100kb is used`)
    return { bytes: 102400, text: '100kb', name }
  }
  const power = ['b', 'kb', 'mb', 'gb', 'tb', 'pb'].indexOf((match[2] || 'b').toLowerCase())
  return { bytes: Math.floor(Number(match[1]) * Math.pow(1024, power)), text, name }
}

const settings = {
  port: wholeNumber('port', 8080),
  metricsPort: wholeNumber('metrics_port', 8081),
  readTimeout: timeLimit('read_timeout', '30s'),
  writeTimeout: timeLimit('write_timeout', '30s'),
  execTimeout: timeLimit('exec_timeout', '30s'),
  maxInflight: wholeNumber('max_inflight', 0),
  readyPath: env.ready_path || '',
  suppressLock: flag('suppress_lock', false),
  prefixLogs: flag('prefix_logs', true),
  logCallId: flag('log_callid', false),
  rawBody: env.RAW_BODY === 'true',
  rawLimit: sizeLimit('MAX_RAW_SIZE'),
  jsonLimit: sizeLimit('MAX_JSON_SIZE'),
}
/** The official wrapper gives text and forms no setting, so they stay at the parser's default. */
const fixedLimit = { bytes: 102400, text: '100kb, which is fixed for this content type', name: '' }

// ----------------------------------------------------------------------------------------------------------- queries

const isContainer = (value) => typeof value === 'object' && value !== null
const own = (object, key) => Object.prototype.hasOwnProperty.call(object, key)

function decodeComponent(text) {
  const spaced = text.replace(/\+/g, ' ')
  try {
    return decodeURIComponent(spaced)
  } catch (_) {
    return spaced
  }
}

/** `a[b][]` → ['a', '[b]', '[]']. What lies below the allowed depth stays one literal key; undefined when that is refused. */
function keySteps(key, depth, strictDepth) {
  const first = key.indexOf('[')
  if (first === -1) return [key]
  const steps = first > 0 ? [key.slice(0, first)] : []
  let open = first
  for (let taken = 0; open !== -1 && taken < depth; taken += 1) {
    let level = 0
    let close = -1
    for (let i = open; i < key.length && close === -1; i += 1) {
      if (key[i] === '[') level += 1
      else if (key[i] === ']' && (level -= 1) === 0) close = i
    }
    if (close === -1) {
      steps.push(`[${key.slice(open)}]`)
      return steps
    }
    steps.push(key.slice(open, close + 1))
    open = key.indexOf('[', close + 1)
  }
  if (open !== -1) {
    if (strictDepth) return undefined
    steps.push(`[${key.slice(open)}]`)
  }
  return steps
}

/** One key with its value as a tree of its own, to be merged into the others. */
function branch(steps, value, arrayLimit) {
  return steps.reduceRight((inner, step) => {
    if (step === '[]') return [].concat(inner)
    const bracketed = step[0] === '[' && step[step.length - 1] === ']'
    const name = bracketed ? step.slice(1, -1) : step
    if (bracketed && /^(0|[1-9]\d*)$/.test(name) && Number(name) < arrayLimit) {
      const sparse = []
      sparse[Number(name)] = inner
      return sparse
    }
    const object = {}
    if (name !== '__proto__') object[name] = inner
    return object
  }, value)
}

function mergeTrees(into, from) {
  if (from === '') return into
  if (!isContainer(from)) {
    if (Array.isArray(into)) into.push(from)
    else return [into, from]
    return into
  }
  if (!isContainer(into)) return [into].concat(from)
  if (Array.isArray(into) && Array.isArray(from)) {
    from.forEach((item, i) => {
      if (!(i in into)) into[i] = item
      else if (isContainer(into[i]) && isContainer(item)) into[i] = mergeTrees(into[i], item)
      else into.push(item)
    })
    return into
  }
  const object = Array.isArray(into) ? Object.assign({}, into) : into
  Object.keys(from).forEach((key) => {
    object[key] = own(object, key) ? mergeTrees(object[key], from[key]) : from[key]
  })
  return object
}

function withoutHoles(value) {
  if (!isContainer(value)) return value
  if (Array.isArray(value)) return value.filter((item) => item !== undefined).map(withoutHoles)
  Object.keys(value).forEach((key) => {
    value[key] = withoutHoles(value[key])
  })
  return value
}

/** Express's "extended" parser: `a[b]=1&c[]=2&c[]=3`. Undefined when the input is deeper than a strict parser takes. */
function parseExtended(text, limits) {
  if (text === '') return {}
  const values = new Map()
  text
    .replace(/%5B/gi, '[')
    .replace(/%5D/gi, ']')
    .split('&')
    .slice(0, 1000)
    .forEach((part) => {
      const bracket = part.indexOf(']=')
      const equals = bracket === -1 ? part.indexOf('=') : bracket + 1
      const key = decodeComponent(equals === -1 ? part : part.slice(0, equals))
      const value = equals === -1 ? '' : decodeComponent(part.slice(equals + 1))
      values.set(key, values.has(key) ? [].concat(values.get(key), value) : value)
    })
  let tree = {}
  for (const [key, value] of values) {
    if (key === '') continue
    const steps = keySteps(key, limits.depth, limits.strictDepth)
    if (steps === undefined) return undefined
    tree = mergeTrees(tree, branch(steps, value, limits.arrayLimit))
  }
  return withoutHoles(tree)
}

function parseQuery(text) {
  if (express5) return require('querystring').parse(text)
  return parseExtended(text, { depth: 5, arrayLimit: 1000, strictDepth: false })
}

// ------------------------------------------------------------------------------------------------------------ bodies

/** What the caller did wrong: answered before the handler is reached. */
class Refusal extends Error {
  constructor(status, message, hint) {
    super(message)
    this.status = status
    this.hint = hint || ''
  }
}

/** Lower-case media type without parameters, empty when it is none. */
function mediaType(header) {
  const type = header.split(';')[0].trim().toLowerCase()
  return /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+$/.test(type) ? type : ''
}

function charsetOf(header) {
  const match = /;\s*charset\s*=\s*("([^"]*)"|[^\s;]+)/i.exec(header)
  return match ? (match[2] || match[1]).toLowerCase() : 'utf-8'
}

function decodeText(bytes, charset) {
  let text
  if (charset === 'utf-8' || charset === 'utf8') text = bytes.toString('utf8')
  else if (charset === 'iso-8859-1' || charset === 'latin1' || charset === 'us-ascii') text = bytes.toString('latin1')
  else {
    try {
      text = new TextDecoder(charset).decode(bytes)
    } catch (_) {
      throw new Refusal(415, `unsupported charset "${charset.toUpperCase()}"`)
    }
  }
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text
}

function parseJson(bytes, charset) {
  if (bytes.length === 0) return {}
  const text = decodeText(bytes, charset)
  const first = /^[ \t\n\r]*([^ \t\n\r])?/.exec(text)[1]
  if (first !== '{' && first !== '[') {
    throw new Refusal(400, 'the body is no JSON object or array, which is all that is taken as application/json')
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Refusal(400, `the body is no JSON: ${error.message}`)
  }
}

function parseForm(bytes, charset) {
  const text = decodeText(bytes, charset)
  const count = text.split('&').length
  if (count > 1000) throw new Refusal(413, 'too many parameters: 1000 are taken')
  const form = parseExtended(text, { depth: 32, arrayLimit: Math.max(100, count), strictDepth: true })
  if (form === undefined) throw new Refusal(400, 'the form is nested deeper than 32 levels')
  return form
}

const noParser = undefined
const anyCharset = () => true
const parsers = {
  raw: { limit: settings.rawLimit, parse: (bytes) => bytes, takes: anyCharset },
  text: { limit: fixedLimit, parse: decodeText, takes: anyCharset },
  json: { limit: settings.jsonLimit, parse: parseJson, takes: (charset) => charset.slice(0, 4) === 'utf-' },
  form: {
    limit: fixedLimit,
    parse: parseForm,
    takes: (charset) => charset === 'utf-8' || (express5 && charset === 'iso-8859-1'),
  },
}

function parserFor(headers) {
  // The body parsers test exactly this: a request has a body when it announces one, even an empty one.
  if (headers['transfer-encoding'] === undefined && isNaN(headers['content-length'])) return noParser
  const type = mediaType(headers['content-type'])
  if (type === '') return noParser
  if (settings.rawBody) return parsers.raw
  if (type.slice(0, 5) === 'text/') return parsers.text
  if (type === 'application/json') return parsers.json
  if (type === 'application/x-www-form-urlencoded') return parsers.form
  return noParser
}

function inflated(req) {
  const encoding = (req.headers['content-encoding'] || 'identity').toLowerCase()
  if (encoding === 'identity') return req
  const zlib = require('zlib')
  const make = { gzip: zlib.createGunzip, deflate: zlib.createInflate, br: express5 && zlib.createBrotliDecompress }
  if (!make[encoding]) throw new Refusal(415, `unsupported content encoding "${encoding}"`)
  return req.pipe(make[encoding]())
}

/**
 * Somebody may be at a breakpoint: what ran out meanwhile did not run out for the function. Only where code is swapped,
 * which is where functions are developed: a NODE_OPTIONS=--inspect elsewhere takes no limit away.
 */
const isDebugged = () => swap !== undefined && debuggerRoute.isOpen()

function sayTooSlow(call) {
  call.res.setHeader('Connection', 'close')
  sayPlain(call, 408, `the request was not read within its read_timeout of ${settings.readTimeout.text}`, true)
}

/** Throws away a body that no parser reads. The handler does not wait for it; the connection must not do so for ever. */
function passOver(call) {
  const req = call.req
  req.resume()
  if (settings.readTimeout.ms === 0) return
  let timer = setTimeout(tooSlow, settings.readTimeout.ms)
  const stop = () => clearTimeout(timer)
  function tooSlow() {
    if (isDebugged()) timer = setTimeout(tooSlow, settings.readTimeout.ms)
    else if (call.answered || call.over) req.socket.destroy()
    else sayTooSlow(call)
  }
  req.on('end', stop)
  req.on('aborted', stop)
}

/** Reads a whole body. `done(error)` or `done(undefined, bytes)`, once. */
function readBody(req, limit, done) {
  const tooLarge = (size) =>
    new Refusal(
      413,
      `request entity too large: ${size} bytes, the limit is ${limit.text}`,
      limit.name === '' ? 'text/* and forms cannot be raised; send JSON or use RAW_BODY' : `raise ${limit.name}`,
    )
  let source
  try {
    source = inflated(req)
  } catch (error) {
    done(error)
    return
  }
  const announced = Number(req.headers['content-length'])
  if (source === req && announced > limit.bytes) {
    done(tooLarge(announced))
    return
  }
  const chunks = []
  let size = 0
  let finished = false
  const finish = (error) => {
    if (finished) return
    finished = true
    if (error !== undefined) {
      if (source !== req) req.unpipe(source)
      req.resume()
    }
    done(error, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks))
  }
  source.on('data', (chunk) => {
    if (finished) return
    size += chunk.length
    if (size > limit.bytes) finish(tooLarge(`more than ${limit.bytes}`))
    else chunks.push(chunk)
  })
  source.on('end', () => finish())
  source.on('error', (error) => finish(new Refusal(400, `the body cannot be read: ${error.message}`)))
  req.on('aborted', () => finish(new Refusal(400, 'request aborted')))
}

// ---------------------------------------------------------------------------------------- what the handler is given

class FunctionEvent {
  constructor(req, pathname, query, body) {
    this.body = body
    this.headers = req.headers
    this.method = req.method
    this.query = query
    this.path = pathname
  }
}

class FunctionContext {
  constructor(cb) {
    this.statusCode = 200
    this.cb = cb
    this.headerValues = {}
    this.cbCalled = 0
  }

  status(code) {
    if (!code) return this.statusCode
    this.statusCode = code
    return this
  }

  headers(values) {
    if (!values) return this.headerValues
    this.headerValues = values
    return this
  }

  succeed(value) {
    this.cbCalled += 1
    this.cb(undefined, value)
  }

  fail(error) {
    if (this.statusCode == 200) this.statusCode = 500
    this.cbCalled += 1
    this.cb(error)
  }
}

// ----------------------------------------------------------------------------------------------------------- answers

/** One call: its request, its answer and what must be undone when it ends. */
class Call {
  constructor(req, res) {
    this.req = req
    this.res = res
    this.started = process.hrtime()
    this.answered = false
    this.over = false
    this.bytes = 0
    this.generation = undefined
    this.limitTimer = undefined
    this.readTimer = undefined
  }

  seconds() {
    const [seconds, nanos] = process.hrtime(this.started)
    return seconds + nanos / 1e9
  }
}

/** The runtime's own business. A `trailer` that is announced beside a length could not be sent at all. */
const connectionHeaders = ['content-length', 'transfer-encoding', 'connection', 'trailer']
const textCharset = /^text\/|^application\/(javascript|json)/

/** Express completes a content type it knows to be text; `charset` is set to UTF-8 in any case where a string is sent. */
function contentType(value, isString) {
  const type = String(value)
  if (isString) {
    const bare = type.replace(/;\s*charset\s*=\s*("[^"]*"|[^\s;]*)/i, '')
    return type.indexOf('/') === -1 ? type : `${bare}; charset=utf-8`
  }
  return textCharset.test(type) && !/;\s*charset\s*=/i.test(type) ? `${type}; charset=utf-8` : type
}

function validStatus(status) {
  if (express5 && !Number.isInteger(status)) throw new TypeError(`Invalid status code: ${JSON.stringify(status)}`)
  const code = status | 0
  if (code < 200 || code > 999) throw new RangeError(`Invalid status code: ${status}`)
  return code
}

/**
 * Sends a value as Express sends it. Throws, with nothing sent, when the value, a header or the status cannot be sent.
 * @param {string | undefined} fallbackType content type where the headers name none
 */
function send(call, status, headers, value, fallbackType) {
  const res = call.res
  let body = value
  let type = fallbackType
  let code = status
  if (typeof body === 'number' && !express5) {
    code = body
    type = 'text/plain'
    body = http.STATUS_CODES[code]
  } else if (typeof body === 'boolean' || typeof body === 'number') {
    body = JSON.stringify(body)
    type = 'application/json'
  } else if (body === null) {
    body = ''
    type = undefined
  } else if (Buffer.isBuffer(body) || (express5 && ArrayBuffer.isView(body))) {
    if (!Buffer.isBuffer(body)) body = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    type = 'application/octet-stream'
  } else if (typeof body === 'object') {
    const plain = body.constructor === Object || body.constructor === Array
    body = JSON.stringify(body)
    // The wrapper stringifies plain objects and arrays itself and sends a string: that is why they are text/html.
    type = plain ? 'text/html' : 'application/json'
  } else if (typeof body === 'string') {
    type = type || 'text/html'
  } else if (body !== undefined) {
    throw new TypeError(`a handler cannot answer with a ${typeof body}`)
  }

  code = validStatus(code)
  const isString = typeof body === 'string'
  let given = false
  Object.keys(headers).forEach((name) => {
    const lower = name.toLowerCase()
    if (connectionHeaders.indexOf(lower) !== -1) return
    const field = headers[name]
    if (lower === 'content-type') {
      given = true
      res.setHeader(name, contentType(field, isString))
    } else res.setHeader(name, Array.isArray(field) ? field.map(String) : String(field))
  })
  if (!given && type !== undefined) res.setHeader('Content-Type', contentType(type, isString))
  finishAnswer(call, code, body === undefined ? '' : body)
}

/** Writes status, length and body; headers are on the response already. */
function finishAnswer(call, status, content) {
  const res = call.res
  let body = content
  call.answered = true
  res.statusCode = status
  res.setHeader('X-Duration-Seconds', call.seconds().toFixed(6))
  if (draining) res.setHeader('Connection', 'close')
  if (status === 204 || status === 304) {
    res.removeHeader('Content-Type')
    body = ''
  } else {
    if (status === 205) body = ''
    call.bytes = Buffer.byteLength(body)
    res.setHeader('Content-Length', call.bytes)
  }
  if (call.req.method === 'HEAD') res.end()
  else res.end(body)
}

/** The runtime's own answers: plain text, and marked where it is the platform that speaks. */
function sayPlain(call, status, text, internal) {
  if (call.answered || call.over) return
  call.res.setHeader('Content-Type', 'text/plain; charset=utf-8')
  call.res.setHeader('X-Content-Type-Options', 'nosniff')
  if (internal) call.res.setHeader('X-OpenFaaS-Internal', 'of-watchdog')
  finishAnswer(call, status, text)
}

/** The wrapper prints an error for the log and sends only its text, without the handler's headers. */
function answerError(call, context, error) {
  console.error(error)
  try {
    send(call, context.statusCode, {}, error.toString ? error.toString() : error)
  } catch (second) {
    console.error(second)
    sayPlain(call, 500, String(second))
  }
}

function answerResult(call, context, value) {
  send(call, context.statusCode, context.headerValues, value)
}

// ------------------------------------------------------------------------------------------------------------- calls

const calls = new Set()
let draining = false

/** The route /_/generation, where the provider may use it. Nobody after this line sees the token. */
const swap = env.FAASDOCK_SWAP_TOKEN ? makeSwap(env.FAASDOCK_SWAP_TOKEN) : undefined
delete env.FAASDOCK_SWAP_TOKEN

/** What answers now. A later version of the handler becomes a new generation; calls in flight keep theirs. */
let generation = swap === undefined ? { number: 1, handler: undefined, calls: 0 } : swap.current

function makeSwap(token) {
  return require('./swap').createSwap({
    folder: handlerFolder,
    token,
    hash: env.FAASDOCK_CONTENT_HASH || '',
    log,
    isDraining: () => draining,
    onCurrent: (next) => {
      generation = next
    },
    failCalls: (old, text) => {
      calls.forEach((call) => call.generation === old && sayPlain(call, 500, text, true))
    },
  })
}

/** Asks the handler, so that everything it starts can be told to be its generation's. */
function ask(generation, event, context, cb) {
  if (swap === undefined) return generation.handler(event, context, cb)
  return swap.call(generation, generation.handler, event, context, cb)
}

function invoke(call, pathname, query, body) {
  const mine = generation
  call.generation = mine
  mine.calls += 1
  const cb = (error, value) => {
    if (call.over) return
    if (call.answered) {
      if (error || value !== undefined) log(`${call.req.method} ${call.req.url}: a second answer was ignored`)
      if (error) console.error(error)
      return
    }
    if (error) answerError(call, context, error)
    else answerResult(call, context, value)
  }
  const context = new FunctionContext(cb)
  let result
  try {
    result = ask(mine, new FunctionEvent(call.req, pathname, query, body), context, cb)
  } catch (error) {
    // Up to Node 20 the official process dies of this; one call's mistake must not take the others with it.
    console.error(error)
    sayPlain(call, 500, String(error))
    return
  }
  Promise.resolve(result)
    .then((value) => {
      if (!context.cbCalled) context.succeed(value)
    })
    .catch(cb)
}

function refuse(call, error) {
  if (call.over) return
  const refusal = error instanceof Refusal ? error : new Refusal(500, String(error))
  const hint = refusal.hint === '' ? '' : ` (${refusal.hint})`
  log(`${call.req.method} ${call.req.url}: ${refusal.message}${hint}`)
  sayPlain(call, refusal.status, refusal.message)
}

/** The shorter of what the function allows and what this caller asks for. */
function callLimit(req) {
  let limit = { ms: settings.execTimeout.ms, name: 'exec_timeout', text: settings.execTimeout.text }
  const wanted = req.headers['x-timeout']
  if (wanted !== undefined) {
    const ms = goDuration(wanted)
    if (ms !== undefined && (limit.ms === 0 || ms < limit.ms)) limit = { ms, name: 'X-Timeout', text: wanted }
  }
  const write = settings.writeTimeout
  if (write.ms > 0 && (limit.ms === 0 || write.ms < limit.ms)) {
    limit = { ms: write.ms, name: 'write_timeout', text: write.text }
  }
  return limit
}

function overLimit(call, limit) {
  if (isDebugged()) {
    call.limitTimer = setTimeout(overLimit, limit.ms, call, limit)
    return
  }
  if (call.answered) {
    // A caller that does not read its answer; write_timeout is what bounds that.
    call.res.destroy ? call.res.destroy() : call.req.socket.destroy()
    return
  }
  log(`${call.req.method} ${call.req.url}: no answer within ${limit.name} of ${limit.text}`)
  sayPlain(call, 504, `the function gave no answer within its ${limit.name} of ${limit.text}`, true)
}

function end(call) {
  if (call.over) return
  call.over = true
  call.answered = true
  calls.delete(call)
  clearTimeout(call.limitTimer)
  clearTimeout(call.readTimer)
  if (call.generation !== undefined) {
    call.generation.calls -= 1
    if (swap !== undefined) swap.callEnded(call.generation)
  }
  const seconds = call.seconds()
  const { method, url, headers } = call.req
  const status = call.res.statusCode
  count(method, status, seconds)
  if (!/^kube-probe/.test(headers['user-agent'] || '')) {
    const callId = settings.logCallId ? ` [${headers['x-call-id'] || 'none'}]` : ''
    const phrase = http.STATUS_CODES[status] || ''
    log(
      `${method} ${url} - ${status} ${phrase} - ContentLength: ${humanSize(call.bytes)} (${seconds.toFixed(4)}s)${callId}`,
    )
  }
  if (draining && calls.size === 0) leave()
}

const routedMethods = ['POST', 'GET', 'HEAD', 'PATCH', 'PUT', 'DELETE', 'OPTIONS']

function atLimit() {
  return settings.maxInflight > 0 && calls.size >= settings.maxInflight
}

function serve(req, res) {
  if (atLimit()) {
    count(req.method, 429, 0)
    res.writeHead(429, { 'Content-Type': 'text/plain', 'X-OpenFaaS-Internal': 'faas-middleware' })
    res.end(`Concurrent request limit exceeded. Max concurrent requests: ${settings.maxInflight}\n`)
    return
  }
  const call = new Call(req, res)
  calls.add(call)
  res.on('finish', () => end(call))
  res.on('close', () => end(call))
  const limit = callLimit(req)
  if (limit.ms > 0) call.limitTimer = setTimeout(overLimit, limit.ms, call, limit)

  if (req.headers['content-type'] === undefined) req.headers['content-type'] = 'text/plain'
  let url = req.url
  if (url[0] !== '/') url = url.replace(/^[a-z]+:\/\/[^/?]*/i, '') || '/'
  const mark = url.indexOf('?')
  const pathname = mark === -1 ? url : url.slice(0, mark)
  const query = parseQuery(mark === -1 ? '' : url.slice(mark + 1))
  if (pathname.indexOf('%') !== -1) {
    try {
      decodeURIComponent(pathname)
    } catch (_) {
      refuse(call, new Refusal(400, `the path cannot be decoded: ${pathname}`))
      return
    }
  }
  if (!express5 && routedMethods.indexOf(req.method) === -1) {
    sayPlain(call, 404, `Cannot ${req.method} ${pathname}`)
    return
  }

  const parser = parserFor(req.headers)
  if (parser === noParser) {
    if (req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length']) > 0) passOver(call)
    invoke(call, pathname, query, express5 ? undefined : {})
    return
  }
  const charset = charsetOf(req.headers['content-type'])
  if (!parser.takes(charset)) {
    refuse(call, new Refusal(415, `unsupported charset "${charset.toUpperCase()}"`))
    return
  }
  const overRead = () => {
    if (isDebugged()) call.readTimer = setTimeout(overRead, settings.readTimeout.ms)
    else sayTooSlow(call)
  }
  if (settings.readTimeout.ms > 0) call.readTimer = setTimeout(overRead, settings.readTimeout.ms)
  readBody(req, parser.limit, (error, bytes) => {
    clearTimeout(call.readTimer)
    if (call.answered) return
    if (error !== undefined) {
      refuse(call, error)
      return
    }
    let body
    try {
      body = parser.parse(bytes, charset)
    } catch (refusal) {
      refuse(call, refusal)
      return
    }
    invoke(call, pathname, query, body)
  })
}

// ---------------------------------------------------------------------------------------------------------- watchdog

const lockFile = '/tmp/.lock'
let lockWritten = false

function writeLock() {
  if (settings.suppressLock) return
  try {
    fs.writeFileSync(lockFile, '', { mode: 0o640 })
    lockWritten = true
  } catch (_) {
    // A read-only file system without /tmp: health then follows the process alone.
  }
}

function removeLock() {
  if (!lockWritten) return
  try {
    fs.unlinkSync(lockFile)
  } catch (_) {
    // Somebody else removed it, which is a way to take a replica out of rotation.
  }
}

function healthy() {
  return !draining && generation.handler !== undefined && (!lockWritten || fs.existsSync(lockFile))
}

function bare(res, status, text) {
  res.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' })
  res.end(text)
}

/** `/_/health` and `/_/ready`: neither reaches the handler, unless `ready_path` sends the second one there. */
function onRequest(req, res) {
  if (req.url.slice(0, 3) !== '/_/') {
    serve(req, res)
    return
  }
  const pathname = req.url.split('?')[0]
  if (pathname === '/_/health') {
    if (req.method !== 'GET') bare(res, 405, '')
    else if (healthy()) bare(res, 200, 'OK')
    else bare(res, 503, '')
    return
  }
  if (pathname === '/_/generation' && swap !== undefined && swap.knows(req)) {
    swap.answer(req, res)
    return
  }
  if (pathname === '/_/debugger' && swap !== undefined && swap.knows(req)) {
    debuggerRoute.answer(req, res)
    return
  }
  if (pathname !== '/_/ready') {
    serve(req, res)
    return
  }
  if (req.method !== 'GET') bare(res, 405, '')
  else if (!healthy()) bare(res, 503, '')
  else if (atLimit()) bare(res, 429, '')
  else if (settings.readyPath !== '') {
    req.url = settings.readyPath
    serve(req, res)
  } else bare(res, 200, 'OK')
}

// ----------------------------------------------------------------------------------------------------------- metrics

const buckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const series = new Map()

function count(method, status, seconds) {
  const key = `code="${status}",method="${method.toLowerCase()}"`
  let one = series.get(key)
  if (one === undefined) {
    one = { total: 0, sum: 0, within: buckets.map(() => 0) }
    series.set(key, one)
  }
  one.total += 1
  one.sum += seconds
  for (let i = buckets.length - 1; i >= 0 && seconds <= buckets[i]; i -= 1) one.within[i] += 1
}

function metricsText() {
  const totals = []
  const durations = []
  series.forEach((one, key) => {
    totals.push(`http_requests_total{${key}} ${one.total}`)
    one.within.forEach((n, i) => durations.push(`http_request_duration_seconds_bucket{${key},le="${buckets[i]}"} ${n}`))
    durations.push(`http_request_duration_seconds_bucket{${key},le="+Inf"} ${one.total}`)
    durations.push(`http_request_duration_seconds_sum{${key}} ${one.sum}`)
    durations.push(`http_request_duration_seconds_count{${key}} ${one.total}`)
  })
  return [
    '# HELP http_requests_total Total number of HTTP requests made.',
    '# TYPE http_requests_total counter',
    ...totals,
    '# HELP http_request_duration_seconds Seconds spent serving HTTP requests.',
    '# TYPE http_request_duration_seconds histogram',
    ...durations,
    '# HELP http_requests_in_flight Number of HTTP requests being served.',
    '# TYPE http_requests_in_flight gauge',
    `http_requests_in_flight ${calls.size}`,
    '',
  ].join('\n')
}

function serveMetrics() {
  if (settings.metricsPort === 0) return
  const metrics = http.createServer((req, res) => {
    if (req.url.split('?')[0] !== '/metrics') bare(res, 404, '404 page not found\n')
    else {
      res.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' })
      res.end(metricsText())
    }
  })
  metrics.on('error', (error) => log(`no metrics: ${error.message}`))
  metrics.listen(settings.metricsPort).unref()
}

// ----------------------------------------------------------------------------------------------------- load and start

let failed = false

/** Says why there is no handler, and ends the process: by an error that nobody catches where somebody listens for it. */
function failedToLoad(error) {
  failed = true
  bareStderr(`${waitingLines}${stamp()} the handler failed to load\n`)
  waitingLines = ''
  const hint = hintFor(error)
  if (hint !== '') bareStderr(`${hint}\n`)
  if (!(error instanceof Error) || process.listenerCount('uncaughtException') > 0) {
    process.nextTick(() => {
      throw error
    })
    return
  }
  const scene = { folder: handlerFolder, place: handlerFolder, changed: [] }
  require('./failure')
    .describe(error, scene)
    .then(({ stack }) => {
      bareStderr(`${stack}\n`)
      exitProcess(1)
    })
}

/**
 * read_timeout also bounds the head of a request, from Node 18: an older Node counts the idle time of a kept-alive
 * connection as well. How often Node looks is a tenth of it, within these bounds.
 */
const checkEvery = Math.min(Math.max(Math.ceil(settings.readTimeout.ms / 10), 50), 5000)
const server = http.createServer({ connectionsCheckingInterval: checkEvery }, onRequest)
// A replica may be paused and woken: a keep-alive limit would run out meanwhile, and close the very connection that
// the waking call comes in on. The gateway ends its idle connections itself.
server.keepAliveTimeout = 0
server.headersTimeout = nodeMajor >= 18 ? Math.ceil(settings.readTimeout.ms) : 0
server.requestTimeout = 0
server.timeout = 0

const sockets = new Set()
server.on('connection', (socket) => {
  socket.setNoDelay(true)
  sockets.add(socket)
  socket.on('close', () => sockets.delete(socket))
})

/** SIGTERM: no new work, what is in flight is finished, then the process ends; at once when it is idle. */
function drain(signal) {
  if (draining) return
  draining = true
  removeLock()
  log(`${signal}: ${calls.size} calls in flight are finished first`)
  server.close()
  hasLastWords = process.listenerCount(signal) > 1
  if (hasLastWords) holdExit()
  if (calls.size === 0) leave()
  const busy = new Set()
  calls.forEach((call) => {
    busy.add(call.req.socket)
    if (!call.res.headersSent) call.res.setHeader('Connection', 'close')
  })
  sockets.forEach((socket) => {
    if (!busy.has(socket)) socket.destroy()
  })
  const most = settings.writeTimeout.ms
  if (most > 0) setTimeout(() => leave(`still ${calls.size} calls in flight after write_timeout`), most).unref()
}

let leaving = false
/** The handler has listeners of its own for the signal; they run right after drain(). */
let hasLastWords = false
let exitAsked = false
/** Milliseconds that such listeners have for what they begin, once no call is in flight. */
const lastWordsLimit = 5000

/** A listener for the end that calls process.exit ends the process as soon as the calls in flight are answered. */
function holdExit() {
  const exit = process.exit
  process.exit = function (code) {
    if (calls.size === 0 || leaving) return exit.apply(process, arguments)
    if (code !== undefined) process.exitCode = code
    exitAsked = true
  }
  // Also for those who wrote `import { exit } from 'process'`.
  const { syncBuiltinESMExports } = require('module')
  if (syncBuiltinESMExports) syncBuiltinESMExports()
}

function leave(why) {
  if (leaving) return
  if (why !== undefined) log(why)
  leaving = true
  flushLog()
  if (!hasLastWords || exitAsked || why !== undefined) exitProcess(process.exitCode || 0)
  // Nothing of ours keeps the process from here on: it ends with what the listeners have begun.
  sockets.forEach((socket) => socket.destroySoon())
  const overdue = () => {
    log(`the handler's own listeners for the end are not done after ${lastWordsLimit / 1000} s`)
    exitProcess(process.exitCode || 0)
  }
  setTimeout(overdue, lastWordsLimit).unref()
}

/** The handler ended the process, or an error nobody caught did: callers get an answer, not a closed connection. */
process.on('exit', (code) => {
  removeLock()
  if (generation.handler === undefined && !failed && !leaving) {
    log(`the process ends with code ${code} before the handler is loaded: it called process.exit, or awaits for ever`)
    if (code === 0) process.exitCode = 1
  }
  if (!leaving && calls.size > 0) {
    log(`the process ends with code ${code} while ${calls.size} calls are in flight`)
    calls.forEach((call) => {
      sayPlain(call, 500, `the function's process ended with code ${code} during the call`, true)
    })
  }
  lineEnds.forEach((endLine) => endLine())
  flushLog()
})

process.on('SIGTERM', () => drain('SIGTERM'))
process.on('SIGINT', () => drain('SIGINT'))

if (settings.prefixLogs) {
  prefixStream(process.stdout, 'stdout')
  prefixStream(process.stderr, 'stderr')
}

function start(handler) {
  generation.handler = handler
  server.on('error', (error) => {
    bareStderr(`${stamp()} cannot listen on port ${settings.port}: ${error.message}\n`)
    exitProcess(1)
  })
  // It was told to end while the handler was loading.
  if (draining) return
  server.listen(settings.port, () => {
    writeLock()
    log(`listening on port ${settings.port}, Node ${process.versions.node}`)
    serveMetrics()
  })
}

try {
  if (flag('jwt_auth', false)) {
    log('jwt_auth is not supported here, and a function that should be protected must not run without it')
    flushLog()
    exitProcess(1)
  }
  const found = findHandler(handlerFolder)
  const load = () => loadHandler(found)
  const loaded = swap === undefined ? load() : swap.first(load, found)
  // Not inside of the promise, so that a failure to listen is reported as such.
  if (found.isModule) loaded.then((handler) => setImmediate(start, handler), failedToLoad)
  else start(loaded)
} catch (error) {
  failedToLoad(error)
}
