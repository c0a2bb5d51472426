'use strict'
// What belongs to which version of the handler, so that an old one can be released. Only loaded where swapping is on.
//
// A store that follows asynchronous work (AsyncLocalStorage) names the generation whose code is running. It tells who adds
// a listener to the process, who ends the process, and whose error nobody caught. Dependencies live on across
// generations: what they do while they are loaded, and the timers they start, belong to nobody.

const Module = require('module')
const path = require('path')
const util = require('util')
const { fileURLToPath } = require('url')

const { AsyncLocalStorage } = require('async_hooks')
/** Undefined before Node 12.17: then nothing can be told apart, and nothing can be swapped. */
const store = AsyncLocalStorage === undefined ? undefined : new AsyncLocalStorage()

/** How long listeners for the end may go on with timers of their own. */
const lastWordsLimit = 5000

let folder = ''
let log = () => {}
let failCalls = () => {}
/** The newest generation that answers: who owns what cannot be told otherwise. */
let current

class Generation {
  constructor(number, place) {
    this.number = number
    /** The folder its sources were loaded from. */
    this.place = place
    this.isModule = false
    /** loading, current, superseded (still has calls), retired; `over` when nothing of it may start any more. */
    this.state = 'loading'
    this.over = false
    this.calls = 0
    this.handler = undefined
    this.timers = new Set()
    this.pruneAt = 256
    this.listeners = []
    /** Its CommonJS modules, once a newer generation has the cache. */
    this.modules = undefined
    /** Ends its load: it asked for the end of the process, or an error of it was caught by nobody. */
    this.fail = () => {}
  }
}

function run(generation, work, ...args) {
  return store.run(generation, work, ...args)
}

// --------------------------------------------------------------------------------------------------------- whose code

/** Whether a file is a source of the function: below its folder, not an installed dependency. */
function isSourceFile(file) {
  return file.startsWith(folder + path.sep) && !file.slice(folder.length).split(path.sep).includes('node_modules')
}

function pathOf(name) {
  return name.startsWith('file://') ? fileURLToPath(name.split('?')[0]) : name
}

/** Where the code is that called `callee`, at most `depth` frames up; names of files, nearest first. */
function callersOf(callee, depth) {
  const { stackTraceLimit, prepareStackTrace } = Error
  Error.stackTraceLimit = depth
  Error.prepareStackTrace = (_, sites) => sites.map((site) => site.getFileName() || '')
  const holder = {}
  Error.captureStackTrace(holder, callee)
  const files = holder.stack
  Error.stackTraceLimit = stackTraceLimit
  Error.prepareStackTrace = prepareStackTrace
  return Array.isArray(files) ? files.map(pathOf) : []
}

/** The generation whose code runs; the current one where that was lost, as in callbacks that a dependency keeps. */
const running = () => store.getStore() || current

// ------------------------------------------------------------------------------------------------------------- timers

function keep(generation, timer) {
  generation.timers.add(timer)
  if (generation.timers.size < generation.pruneAt) return
  // Timers that have fired or were cleared are only let go here, which costs less than watching each of them.
  generation.timers.forEach((one) => {
    if (one._destroyed) generation.timers.delete(one)
  })
  generation.pruneAt = Math.max(256, generation.timers.size * 2)
}

function clearTimers(timers) {
  timers.forEach((timer) => {
    if (timer.constructor.name === 'Immediate') clearImmediate(timer)
    else clearTimeout(timer)
  })
  timers.clear()
}

/**
 * Timers that the function's own code starts are its generation's. Those of dependencies are not, even where the
 * function called them: a connection pool that outlives the generation would lose its clock.
 */
function trackTimers() {
  const timers = require('timers')
  for (const name of ['setTimeout', 'setInterval', 'setImmediate']) {
    const start = timers[name]
    const tracked = function (...args) {
      const timer = start.apply(this, args)
      const [caller] = callersOf(tracked, 1)
      if (caller === undefined || !isSourceFile(caller)) return timer
      const generation = running()
      if (generation === undefined) return timer
      if (generation.over) clearTimers(new Set([timer]))
      else keep(generation, timer)
      return timer
    }
    Object.defineProperty(tracked, 'name', { value: name })
    const promised = start[util.promisify.custom]
    if (promised !== undefined) tracked[util.promisify.custom] = guarded(promised)
    timers[name] = tracked
    global[name] = tracked
  }
  trackPromisedTimers()
  if (Module.syncBuiltinESMExports) Module.syncBuiltinESMExports()
}

/** A promise of a generation that is over stays unsettled, which ends loops that sleep between two rounds. */
function untilOver(generation, promise) {
  if (generation === undefined) return promise
  return new Promise((resolve, reject) => {
    promise.then(
      (value) => generation.over || resolve(value),
      (error) => generation.over || reject(error),
    )
  })
}

const guarded = (sleep) => (...args) => untilOver(store.getStore(), sleep(...args))

function trackPromisedTimers() {
  let promised
  try {
    promised = require('timers/promises')
  } catch (_) {
    return // Before Node 15.
  }
  for (const name of ['setTimeout', 'setImmediate']) promised[name] = guarded(promised[name])
  const interval = promised.setInterval
  if (interval !== undefined) {
    promised.setInterval = (...args) => {
      const generation = store.getStore()
      const ticks = interval(...args)
      return {
        next: () => untilOver(generation, ticks.next()),
        return: () => ticks.return(),
        throw: (error) => ticks.throw(error),
        [Symbol.asyncIterator]() {
          return this
        },
      }
    }
  }
  if (promised.scheduler !== undefined && promised.scheduler.wait !== undefined) {
    const wait = promised.scheduler.wait.bind(promised.scheduler)
    promised.scheduler.wait = guarded(wait)
  }
}

// -------------------------------------------------------------------------------------------------------- the process

/** What process.exit throws where it must not end the process: like the real one, it never returns. */
class EndOfGeneration extends Error {}

/** Anything but the code that answers now, which ends the process as it does in production. */
const isAside = (generation) => generation !== undefined && generation.state !== 'current'

function trackProcess() {
  const exit = process.exit
  process.exit = function (code) {
    const generation = store.getStore()
    if (!isAside(generation)) return exit.apply(process, arguments)
    const asked = `process.exit(${code === undefined ? '' : code})`
    if (generation.state === 'loading') {
      const error = new EndOfGeneration(`the handler calls ${asked} while it is loaded`)
      generation.fail(error)
      throw error
    }
    log(`generation ${generation.number} is not the current one, so its ${asked} is ignored`)
    failCalls(generation, `the function's old code called ${asked} during the call`)
    throw new EndOfGeneration(asked)
  }

  // Every event of the process passes here, so listeners are seen whichever method adds them, and errors nobody
  // caught before Node acts on them. Ordinary errors of the current code keep Node's own treatment.
  const emit = process.emit
  process.emit = function (event, subject, more) {
    if (event === 'newListener') noteListener(subject, more)
    else if (event === 'removeListener') forgetListener(subject, more)
    else if (event === 'uncaughtException' || event === 'unhandledRejection') {
      const generation = store.getStore()
      if (isAside(generation)) {
        strayError(generation, subject)
        return true
      }
    }
    return emit.apply(process, arguments)
  }
}

function noteListener(event, listener) {
  const generation = store.getStore()
  if (generation === undefined || generation.over) return
  // A dependency that is imported runs in the generation's name too; then no code of the function is on the stack.
  if (callersOf(process.emit, 50).some(isSourceFile)) generation.listeners.push({ event, listener })
}

function forgetListener(event, listener) {
  const generation = store.getStore()
  if (generation === undefined) return
  const at = generation.listeners.findIndex((one) => one.event === event && one.listener === listener)
  if (at !== -1) generation.listeners.splice(at, 1)
}

function strayError(generation, error) {
  if (error instanceof EndOfGeneration) return
  if (generation.state === 'loading') {
    generation.fail(error)
    return
  }
  const text = error instanceof Error ? error.stack : util.inspect(error)
  log(`generation ${generation.number} is not the current one; an error in it was caught by nobody: ${text}`)
  failCalls(generation, String(error))
}

// ------------------------------------------------------------------------------------------------------------ modules

/** Takes the function's CommonJS modules out of the cache, so that the next generation loads its own. */
function takeModules(generation) {
  const taken = new Map()
  for (const file of Object.keys(require.cache)) {
    if (!isSourceFile(file)) continue
    taken.set(file, require.cache[file])
    delete require.cache[file]
  }
  // What stays must not hold what goes: old generations are to be collected.
  for (const file of Object.keys(require.cache)) {
    const one = require.cache[file]
    if (one.children.some((child) => taken.has(child.filename))) {
      one.children = one.children.filter((child) => !taken.has(child.filename))
    }
  }
  // Node remembers where a request led to, also when that file is gone or another one would come first now.
  for (const key of Object.keys(Module._pathCache || {})) {
    if (isSourceFile(Module._pathCache[key])) delete Module._pathCache[key]
  }
  generation.modules = taken
}

/** Undoes takeModules, and drops what a generation that does not load has left. */
function giveBackModules(generation) {
  for (const file of Object.keys(require.cache)) if (isSourceFile(file)) delete require.cache[file]
  generation.modules.forEach((one, file) => {
    require.cache[file] = one
  })
  generation.modules = undefined
}

function trackModules() {
  const load = Module._load
  const loading = new Set()
  Module._load = function (request, parent, isMain) {
    const generation = store.getStore()
    if (generation === undefined || generation.modules === undefined) return load.apply(this, arguments)
    // An old generation that still has calls: its modules are its own, however late it asks for them.
    const file = Module._resolveFilename(request, parent, isMain)
    if (!isSourceFile(file) || loading.has(file)) return load.apply(this, arguments)
    const known = generation.modules.get(file)
    if (known !== undefined) return known.exports
    const newer = require.cache[file]
    delete require.cache[file]
    loading.add(file)
    try {
      return load.apply(this, arguments)
    } finally {
      loading.delete(file)
      if (require.cache[file] !== undefined) generation.modules.set(file, require.cache[file])
      if (newer === undefined) delete require.cache[file]
      else require.cache[file] = newer
    }
  }
  const evaluate = Module.prototype.load
  Module.prototype.load = function (file) {
    if (store.getStore() === undefined || isSourceFile(file)) return evaluate.apply(this, arguments)
    return store.run(undefined, () => evaluate.apply(this, arguments))
  }
}

// -------------------------------------------------------------------------------------------------------- end of life

/** Releases a generation without calls: its SIGTERM listeners are called, then listeners and timers are removed. */
function retire(generation) {
  if (generation.state === 'retired') return
  generation.state = 'retired'
  const { timers, listeners } = generation
  generation.timers = new Set()
  generation.listeners = []
  const endings = []
  listeners.forEach(({ event, listener }) => {
    if (event === 'SIGTERM') endings.push(run(generation, lastWords, generation, listener))
  })
  listeners.forEach(({ event, listener }) => process.removeListener(event, listener))
  clearTimers(timers)
  const finish = () => {
    generation.over = true
    clearTimers(generation.timers)
    generation.listeners.forEach(({ event, listener }) => process.removeListener(event, listener))
    generation.handler = undefined
    generation.modules = undefined
    generation.listeners = []
  }
  if (!endings.some((ending) => ending !== undefined && typeof ending.then === 'function')) {
    finish()
    return
  }
  const limit = new Promise((resolve) => setTimeout(resolve, lastWordsLimit).unref())
  Promise.race([Promise.all(endings), limit]).then(finish)
}

/** Calls one SIGTERM listener; what it throws is logged, now or later. */
function lastWords(generation, listener) {
  const failed = (error) => strayError(generation, error)
  try {
    const result = listener.call(process, 'SIGTERM', 15)
    return result && typeof result.then === 'function' ? result.then(undefined, failed) : undefined
  } catch (error) {
    failed(error)
    return undefined
  }
}

/**
 * Starts to tell generations apart.
 * @param {{ folder: string, log: (line: string) => void, failCalls: (generation: Generation, text: string) => void }} parts
 */
function track(parts) {
  folder = parts.folder
  log = parts.log
  failCalls = parts.failCalls
  trackTimers()
  trackProcess()
  trackModules()
}

function setCurrent(generation) {
  generation.state = 'current'
  current = generation
}

module.exports = { Generation, giveBackModules, isSourceFile, retire, run, setCurrent, store, takeModules, track }
