'use strict'
// A new version of the handler in a process that goes on: the runtime's own route /_/generation. Only loaded where
// FAASDOCK_SWAP_TOKEN is set. docs/runtime.md is the protocol.

const fs = require('fs')
const path = require('path')
const Module = require('module')
const { performance } = require('perf_hooks')
const { pathToFileURL } = require('url')
const { types } = require('util')
const debuggerRoute = require('./debugger')
const generations = require('./generations')
const { findHandler, isCopy, listSources, loadHandler } = require('./load')

const largest = 64 * 1024 * 1024
const loadLimit = 10000
/** Node never forgets an ES module, so a process takes only so much of them. */
const moduleBytesLimit = 64 * 1024 * 1024
const hooks = Module.registerHooks ? 'this thread' : Module.register ? 'their own thread' : 'none'

/** A swap that is not to be: the status of the table in docs/runtime.md, and what goes into the body. */
class Refused extends Error {
  constructor(status, message, more) {
    super(message)
    this.status = status
    this.more = more || {}
  }
}

/**
 * @param {{ folder: string, token: string, hash: string, log: (line: string) => void,
 *   failCalls: (generation: object, text: string) => void,
 *   onCurrent: (generation: object) => void, isDraining: () => boolean }} parts
 */
function createSwap(parts) {
  const { folder, log } = parts
  const markerFile = path.join(path.dirname(folder), '.generation')
  const folderUrl = pathToFileURL(folder).href + '/'
  const alive = new Set()
  const marked = readMarker(markerFile)
  const impossible = whyImpossible(folder, markerFile)
  if (impossible === undefined && marked.before !== undefined) {
    undoChange(folder, marked.before.steps.map(restored))
    marked.hash = marked.before.hash
    writeMarker(markerFile, { number: marked.number, hash: marked.hash })
    log('the process ended while it loaded a swap; the files before it are back')
  }
  let hash = marked.hash === undefined ? parts.hash : marked.hash
  /** A process that was killed halfway left this: no change can be applied to it. */
  let mixed = marked.hash === ''
  let newestNumber = marked.number + 1
  let firstIsModule = false
  let moduleBytes = 0
  let manifests
  let hooked = false
  let requiredModules = false
  const newestShared = new Int32Array(new SharedArrayBuffer(4))
  let waiting = Promise.resolve()
  /** The generation the process starts with has no query. */
  const alwaysPlain = newestNumber
  let current = new generations.Generation(newestNumber, folder)
  alive.add(current)

  if (impossible === undefined) {
    generations.track({ folder, log, failCalls: parts.failCalls })
    generations.setCurrent(current)
    sweepCopies(folder)
  }

  function reasonAgainst() {
    if (impossible !== undefined) return impossible
    if (moduleBytes > moduleBytesLimit) {
      return 'this process has loaded so many versions of its ES modules that its memory would grow too much'
    }
    return undefined
  }

  // ------------------------------------------------------------------------------------------------------------- load

  /** The hooks see to it that everything below the handler is fresh; see fresh.js. */
  function installHooks() {
    if (hooked) return
    hooked = true
    if (hooks === 'their own thread') {
      const data = { folderUrl, newest: newestShared, firstIsModule }
      Module.register(pathToFileURL(path.join(__dirname, 'fresh.js')).href, { data })
      return
    }
    const { freshUrl, generationIn, isSource, named } = require('./fresh')
    Module.registerHooks({
      resolve(specifier, context, next) {
        const found = next(specifier, context)
        if (!isSource(found.url, folderUrl)) return found
        let number = generationIn(context.parentURL)
        if (number === undefined) {
          // CommonJS has no query of its own: whose code asks?
          const asking = generations.store.getStore()
          if (asking !== undefined && asking.number > alwaysPlain) number = asking.number
        }
        return number === undefined ? found : Object.assign({}, found, { url: freshUrl(found.url, number) })
      },
      load: (url, context, next) => named(url, next(url, context)),
    })
  }

  /** Loads what is in the folder now as `next`; resolves with its handler. */
  function load(next, files) {
    let found = findHandler(folder)
    next.isModule = found.isModule
    const modules = found.isModule || (hooks === 'none' && files.some(isModuleFile))
    // Node remembers every package.json, every ES module that was required, and without hooks every ES module at all.
    // Under another path it reads them anew.
    if ((modules && hooks === 'none') || requiredModules || manifestsChanged()) {
      next.place = copySources(folder, next.number)
      found = findHandler(next.place)
    } else if (hooks !== 'none') {
      if (found.isModule || hooks === 'this thread' || files.some(isModuleFile)) installHooks()
    }
    if (found.isModule) moduleBytes += sizeOf(files)
    const query = next.place === folder && hooks !== 'none' ? `?generation=${next.number}` : ''
    return new Promise((resolve, reject) => {
      next.fail = reject
      const tooLong = () => {
        // A breakpoint at the top of a module takes as long as somebody looks at it.
        if (debuggerRoute.isOpen()) {
          limit = setTimeout(tooLong, loadLimit)
          return
        }
        const error = new Error(`the handler is not loaded after ${loadLimit / 1000} s: a top-level await never ends`)
        error.handlerFile = found.file
        reject(error)
      }
      let limit = setTimeout(tooLong, loadLimit)
      Promise.resolve(generations.run(next, loadHandler, found, query))
        .then(resolve, reject)
        .then(() => clearTimeout(limit))
    })
  }

  const isModuleFile = (name) =>
    /\.m[jt]s$/.test(name) || (/(^|\/)package\.json$/.test(name) && typeOf(path.join(folder, name)) === 'module')

  function sizeOf(files) {
    let bytes = 0
    for (const name of files) if (/\.(m?[jt]s|json)$/.test(name)) bytes += fs.statSync(path.join(folder, name)).size
    return bytes
  }

  function manifestsChanged() {
    const now = readManifests(folder, listSources(folder))
    return now.size !== manifests.size || [...now].some(([name, text]) => manifests.get(name) !== text)
  }

  // ------------------------------------------------------------------------------------------------------------- swap

  async function swap(wish) {
    const began = performance.now()
    if (parts.isDraining()) throw new Refused(501, 'this process is ending')
    const reason = reasonAgainst()
    if (reason !== undefined) throw new Refused(501, reason)
    if (wish.from !== null && (wish.from !== hash || mixed)) {
      throw new Refused(409, `what is here is "${hash}", not "${wish.from}": send everything, with "from": null`, { hash })
    }
    if (manifests === undefined) manifests = readManifests(folder, listSources(folder))
    const previous = current
    const steps = planChange(folder, wish)
    // Should the process die halfway, the one that follows it puts the files back.
    writeMarker(markerFile, { number: newestNumber + 1, hash: '', before: { hash, steps: steps.map(stored) } })
    try {
      applyChange(folder, steps)
    } catch (error) {
      writeMarker(markerFile, { number: newestNumber, hash })
      throw error
    }
    const next = new generations.Generation(newestNumber + 1, folder)
    newestNumber = next.number
    newestShared[0] = next.number
    alive.add(next)
    generations.takeModules(previous)
    previous.modules.forEach((one) => {
      if (types.isModuleNamespaceObject(one.exports)) requiredModules = true
    })
    try {
      const handler = await load(next, listSources(folder))
      next.handler = handler
    } catch (error) {
      generations.giveBackModules(previous)
      // A required ES module that failed is remembered as well, and is in no cache that could be seen.
      if (!next.isModule && process.features.require_module && /\/modules\/esm\//.test(error && error.stack)) requiredModules = true
      newestShared[0] = previous.number
      const described = await require('./failure').describe(error, { folder, place: next.place, changed: [...wish.files.keys()] })
      retire(next)
      undoChange(folder, steps)
      writeMarker(markerFile, { number: next.number, hash })
      log(`generation ${next.number} does not load, generation ${previous.number} goes on\n${described.stack}`)
      throw new Refused(422, described.message, described)
    }
    previous.state = 'superseded'
    current = next
    hash = wish.hash
    mixed = false
    generations.setCurrent(next)
    parts.onCurrent(next)
    writeMarker(markerFile, { number: next.number, hash })
    const ms = Math.round((performance.now() - began) * 100) / 100
    log(`generation ${next.number} answers after ${ms.toFixed(1)} ms`)
    // After the answer is on its way: what users wrote for the end may take its time.
    setImmediate(() => callEnded(previous))
    return { number: next.number, hash, ms }
  }

  /** One swap at a time. */
  function inTurn(work) {
    const turn = waiting.then(work)
    waiting = turn.catch(() => {})
    return turn
  }

  function retire(generation) {
    generations.retire(generation)
    alive.delete(generation)
    if (generation.place !== folder) removeFolder(generation.place)
  }

  function callEnded(generation) {
    if (generation.state === 'superseded' && generation.calls === 0) retire(generation)
  }

  // ------------------------------------------------------------------------------------------------------------ route

  /** Whether the caller may know that the route exists. */
  function knows(req) {
    const token = req.headers['x-faasdock-token']
    if (token === undefined) return false
    // Loaded when it is needed: it would take a tenth of the time that the process takes to start.
    const crypto = require('crypto')
    const digest = (text) => crypto.createHash('sha256').update(text).digest()
    return crypto.timingSafeEqual(digest(token), digest(parts.token))
  }

  function state() {
    const inflight = {}
    alive.forEach((one) => {
      if (one.calls > 0) inflight[one.number] = one.calls
    })
    const reason = reasonAgainst()
    const answer = { number: current.number, hash, inflight, canSwap: reason === undefined }
    return reason === undefined ? answer : Object.assign(answer, { reason })
  }

  function answer(req, res) {
    if (req.method === 'GET') {
      say(res, 200, state())
      return
    }
    if (req.method !== 'PUT') {
      say(res, 405, { message: `${req.method} is not taken here: GET and PUT are` })
      return
    }
    readWish(req)
      .then((wish) => inTurn(() => swap(wish)))
      .then(
        (done) => say(res, 200, done),
        (error) => {
          if (error instanceof Refused) say(res, error.status, Object.assign({ message: error.message }, error.more))
          else {
            log(`the swap failed: ${error.stack}`)
            say(res, 501, { message: `this process cannot swap: ${error.message}` })
          }
        },
      )
  }

  /** The first load of the process, in the name of its generation. */
  function first(work, found) {
    firstIsModule = found.isModule
    return impossible === undefined ? generations.run(current, work) : work()
  }

  function call(generation, handler, event, context, cb) {
    if (impossible !== undefined) return handler(event, context, cb)
    return generations.run(generation, handler, event, context, cb)
  }

  return { answer, call, callEnded, current, first, knows }
}

// ----------------------------------------------------------------------------------------------------------- requests

function say(res, status, body) {
  const text = JSON.stringify(body)
  res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) })
  res.end(text)
}

function readWish(req) {
  return new Promise((resolve, reject) => {
    const tooLarge = () => reject(new Refused(413, 'more than 64 MiB is too much for a swap: start a new replica'))
    const chunks = []
    let size = 0
    req.on('data', (chunk) => {
      size += chunk.length
      // The rest is read and dropped, so that the answer arrives.
      if (size > largest) {
        chunks.length = 0
        tooLarge()
      } else chunks.push(chunk)
    })
    req.on('error', reject)
    req.on('aborted', () => reject(new Refused(400, 'the request was cut off')))
    req.on('end', () => {
      if (size > largest) return
      try {
        resolve(checked(Buffer.concat(chunks).toString('utf8')))
      } catch (error) {
        reject(error)
      }
    })
  })
}

/** What the body asks for, each file as a Buffer. Throws a 400 before anything is done. */
function checked(text) {
  let wish
  try {
    wish = JSON.parse(text)
  } catch (error) {
    throw new Refused(400, `the body is no JSON: ${error.message}`)
  }
  const isMap = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isMap(wish)) throw new Refused(400, 'the body is no JSON object')
  const { hash, from, files = {}, deleted = [] } = wish
  if (typeof hash !== 'string' || hash === '') throw new Refused(400, '"hash" must be a text')
  if (from !== null && typeof from !== 'string') throw new Refused(400, '"from" must be a text or null')
  if (!isMap(files)) throw new Refused(400, '"files" must be an object of path and base64')
  if (!Array.isArray(deleted)) throw new Refused(400, '"deleted" must be a list of paths')
  const contents = new Map()
  Object.keys(files).forEach((name) => {
    checkPath(name)
    const content = files[name]
    if (typeof content !== 'string' || content.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(content)) {
      throw new Refused(400, `"${name}" is not base64`)
    }
    contents.set(name, Buffer.from(content, 'base64'))
  })
  deleted.forEach(checkPath)
  return { hash, from, files: contents, deleted }
}

function checkPath(name) {
  const steps = typeof name === 'string' ? name.split('/') : []
  const leaves = steps.length === 0 || steps.some((step) => step === '' || step === '.' || step === '..')
  if (leaves || /[\0\\]/.test(name)) {
    throw new Refused(400, `${JSON.stringify(name)} is no path relative to the handler folder`)
  }
  if (steps.includes('node_modules')) throw new Refused(400, `"${name}" is an installed dependency: build an image`)
  if (isCopy(steps[0])) throw new Refused(400, `"${name}" is a name that the runtime uses itself`)
}

// -------------------------------------------------------------------------------------------------------------- files

/** What a path is now, without following it: a file's content and mode, a link's target, or nothing of both. */
function whatIs(file) {
  try {
    const stat = fs.lstatSync(file)
    if (stat.isDirectory()) return {}
    if (stat.isSymbolicLink()) return { link: fs.readlinkSync(file) }
    return { content: fs.readFileSync(file), mode: stat.mode & 0o777 }
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return {}
    throw error
  }
}

/** What a swap changes, with what is there before; `wanted` is undefined where a file goes. Changes nothing. */
function planChange(folder, { from, files, deleted }) {
  const gone = (from === null ? listSources(folder) : deleted).filter((name) => !files.has(name))
  const steps = []
  const look = (name, wanted) => {
    const file = path.join(folder, name)
    staysInside(folder, file, name)
    const before = whatIs(file)
    const isThere = before.content !== undefined || before.link !== undefined
    const same = wanted === undefined ? !isThere : before.content !== undefined && before.content.equals(wanted)
    if (!same) steps.push(Object.assign({ name, wanted }, before))
  }
  gone.forEach((name) => look(name, undefined))
  const goes = new Set(steps.map(({ name }) => name))
  files.forEach((wanted, name) => {
    const parts = name.split('/')
    const isBelowGone = parts.some((_, at) => goes.has(parts.slice(0, at).join('/')))
    if (isBelowGone) steps.push({ name, wanted })
    else look(name, wanted)
  })
  return steps
}

/** Throws with everything as it was. */
function applyChange(folder, steps) {
  const done = []
  try {
    steps.forEach((step) => {
      const file = path.join(folder, step.name)
      if (fs.existsSync(file) && fs.lstatSync(file).isDirectory()) throw new Refused(400, `"${step.name}" is a folder`)
      done.push(step)
      if (step.wanted === undefined) removeFile(folder, step.name)
      else writeFile(file, step.wanted, step.mode === undefined ? 0o644 : step.mode)
    })
  } catch (error) {
    undoChange(folder, done)
    if (error instanceof Refused) throw error
    throw new Refused(501, `the files cannot be written: ${error.message}`)
  }
}

/** Also of a change that was made only in part. */
function undoChange(folder, steps) {
  for (const { name, content, mode, link } of steps.slice().reverse()) {
    const file = path.join(folder, name)
    if (content !== undefined) {
      writeFile(file, content, mode)
      continue
    }
    const now = whatIs(file)
    if (now.content !== undefined || now.link !== undefined) removeFile(folder, name)
    if (link === undefined) continue
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.symlinkSync(link, file)
  }
}

/** As text for the marker, and back: how a process that was killed halfway finds its files again. */
const stored = ({ name, content, mode, link }) => ({ name, mode, link, content: content && content.toString('base64') })
const restored = ({ name, content, mode, link }) => {
  return { name, mode, link, content: content === undefined ? undefined : Buffer.from(content, 'base64') }
}

/** Whole or not at all, and as a new file: copies of generations may still hold the old one. */
function writeFile(file, content, mode) {
  const beside = `${file}.${process.pid}.new`
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(beside, content, { mode })
    fs.chmodSync(beside, mode)
    fs.renameSync(beside, file)
  } catch (error) {
    fs.existsSync(beside) && fs.unlinkSync(beside)
    throw error
  }
}

/** With the folders that are empty then: a file may take the place of one of them. */
function removeFile(folder, name) {
  fs.unlinkSync(path.join(folder, name))
  try {
    for (let above = path.dirname(name); above !== '.'; above = path.dirname(above)) fs.rmdirSync(path.join(folder, above))
  } catch (_) {
    // Not empty, which is how it ends.
  }
}

/** A link inside the folder may lead out of it. */
function staysInside(folder, file, name) {
  let above = path.dirname(file)
  while (!fs.existsSync(above)) above = path.dirname(above)
  const real = fs.realpathSync(above)
  const root = fs.realpathSync(folder)
  if (real !== root && !real.startsWith(root + path.sep)) {
    throw new Refused(400, `"${name}" leaves the handler folder through a link`)
  }
}

// ----------------------------------------------------------------------------------------------- manifests and copies

function typeOf(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')).type
  } catch (_) {
    return undefined
  }
}

/** What Node remembers of each package.json, as text to compare. */
function readManifests(folder, files) {
  const found = new Map()
  for (const name of files) {
    if (!/(^|\/)package\.json$/.test(name)) continue
    const text = fs.readFileSync(path.join(folder, name), 'utf8')
    try {
      const { name: own, type, main, exports, imports } = JSON.parse(text)
      found.set(name, JSON.stringify([own, type, main, exports, imports]))
    } catch (_) {
      found.set(name, text)
    }
  }
  return found
}

/** The sources once more, below the same folder: dependencies are found upwards, local packages through links. */
function copySources(folder, number) {
  const copy = path.join(folder, `.generation-${number}`)
  for (const name of listSources(folder)) {
    const target = path.join(copy, name)
    fs.mkdirSync(path.dirname(target), { recursive: true })
    // writeFile never changes a file in place, so a link is as good as a copy.
    try {
      fs.linkSync(path.join(folder, name), target)
    } catch (_) {
      fs.copyFileSync(path.join(folder, name), target)
    }
  }
  const linkLocal = (below) => {
    const at = path.join(folder, 'node_modules', below)
    if (!fs.existsSync(at)) return
    for (const entry of fs.readdirSync(at, { withFileTypes: true })) {
      const name = path.join(below, entry.name)
      if (entry.isDirectory() && entry.name[0] === '@') linkLocal(name)
      if (!entry.isSymbolicLink()) continue
      const real = fs.realpathSync(path.join(at, entry.name))
      if (!generations.isSourceFile(real)) continue
      const link = path.join(copy, 'node_modules', name)
      fs.mkdirSync(path.dirname(link), { recursive: true })
      fs.symlinkSync(path.join(copy, path.relative(folder, real)), link)
    }
  }
  linkLocal('')
  return copy
}

function removeFolder(place) {
  const done = (error) => void error
  if (fs.rm) fs.rm(place, { recursive: true, force: true }, done)
  else fs.rmdir(place, { recursive: true }, done)
}

/** What a process that was killed has left. */
function sweepCopies(folder) {
  for (const name of fs.readdirSync(folder)) if (isCopy(name)) removeFolder(path.join(folder, name))
}

// -------------------------------------------------------------------------------------------------- marker, conditions

function readMarker(file) {
  try {
    const { number, hash, before } = JSON.parse(fs.readFileSync(file, 'utf8'))
    if (Number.isInteger(number) && typeof hash === 'string') return { number, hash, before }
  } catch (_) {
    // Nothing was swapped yet.
  }
  return { number: 0, hash: undefined, before: undefined }
}

function writeMarker(file, content) {
  writeFile(file, JSON.stringify(content), 0o644)
}

/** Why this process can never swap, undefined when it can. */
function whyImpossible(folder, markerFile) {
  if (generations.store === undefined) return `Node ${process.versions.node} cannot tell generations apart: 12.17 can`
  const mayWrite = (place) => {
    try {
      fs.accessSync(place, fs.constants.W_OK)
      return true
    } catch (_) {
      return false
    }
  }
  if (!mayWrite(folder)) return `${folder} cannot be written`
  if (!mayWrite(path.dirname(markerFile))) return `${path.dirname(markerFile)} cannot be written`
  return undefined
}

module.exports = { createSwap }
