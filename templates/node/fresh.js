'use strict'
// Hooks that give a function's ES modules a `?generation=N`, so that the whole tree of them is fresh after a swap while
// dependencies stay. The entry brings the query in; it goes from importer to imported. Used in this thread where Node
// has module.registerHooks (swap.js calls freshUrl and named), else in the thread that module.register makes.

const { stripTypeScriptTypes } = require('module')

/** The generation that a module's address names, undefined where it names none. */
function generationIn(url) {
  const match = /[?&]generation=(\d+)/.exec(url || '')
  return match === null ? undefined : Number(match[1])
}

/** Whether `url` is a source of the function: below its folder, not an installed dependency. */
function isSource(url, folderUrl) {
  return url.startsWith(folderUrl) && url.indexOf('/node_modules/', folderUrl.length - 1) === -1
}

/** The address that belongs to generation `number`; the same one where it names a generation already. */
function freshUrl(url, number) {
  if (generationIn(url) !== undefined) return url
  const [address, fragment] = url.split('#')
  const query = `${address.indexOf('?') === -1 ? '?' : '&'}generation=${number}`
  return address + query + (fragment === undefined ? '' : `#${fragment}`)
}

/** Stack traces and debuggers see the file's own address, without the query. */
function named(url, loaded) {
  if (generationIn(url) === undefined || !/^module/.test(loaded.format) || loaded.source == null) return loaded
  const text = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source).toString('utf8')
  const sourceUrl = url.split('?')[0]
  if (loaded.format !== 'module-typescript') {
    return Object.assign({}, loaded, { source: `${text}\n//# sourceURL=${sourceUrl}` })
  }
  // Node would name what it strips itself, and with the query.
  if (process.features.typescript !== 'strip' || stripTypeScriptTypes === undefined) return loaded
  return Object.assign({}, loaded, { format: 'module', source: stripTypeScriptTypes(text, { mode: 'strip', sourceUrl }) })
}

let scope

/** `folderUrl` ends with a slash; `newest` is shared memory that holds the number of the newest generation. */
async function initialize(data) {
  scope = data
}

/** The importer's generation. CommonJS has no query, and what is not the function's asks for what is newest. */
function generationOfImporter(parentUrl) {
  const number = generationIn(parentUrl)
  if (number !== undefined || parentUrl === undefined) return number
  const firstModules = scope.firstIsModule && isSource(parentUrl, scope.folderUrl) && !/\.cjs$/.test(parentUrl)
  return firstModules ? undefined : scope.newest[0]
}

async function resolve(specifier, context, next) {
  const found = await next(specifier, context)
  if (!isSource(found.url, scope.folderUrl)) return found
  const number = generationOfImporter(context.parentURL)
  return number === undefined ? found : Object.assign({}, found, { url: freshUrl(found.url, number) })
}

async function load(url, context, next) {
  return named(url, await next(url, context))
}

exports.initialize = initialize
exports.resolve = resolve
exports.load = load
exports.generationIn = generationIn
exports.isSource = isSource
exports.freshUrl = freshUrl
exports.named = named
