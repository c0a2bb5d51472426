'use strict'
// Where and why a new version of the handler does not load, for the one who saved it.

const fs = require('fs')
const path = require('path')
const util = require('util')
const { execFile } = require('child_process')
const { listSources } = require('./load')

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/**
 * @param {unknown} error what the load ended with
 * @param {{ folder: string, place: string, changed: string[] }} scene `place` is the folder it was loaded from, and
 *   `changed` are the files that are most likely to be the reason
 * @returns {Promise<{ message: string, file?: string, line?: number, column?: number, stack: string }>}
 */
async function describe(error, { folder, place, changed }) {
  const isError = util.types.isNativeError(error) || error instanceof Error
  const own = (text) => cleaned(text, folder, place)
  const message = own(isError ? `${error.name}: ${error.message}` : `the handler threw ${util.inspect(error)}`)
  let stack = own(isError && typeof error.stack === 'string' ? error.stack : message)
  let where = placeIn(stack, folder) || placeOfMissing(error, stack, folder)
  if (where === undefined && isError && error.name === 'SyntaxError') {
    const report = await parserReport(folder, place, changed)
    if (report !== undefined) {
      where = report.where
      stack = `${report.shown}\n${stack}`
    }
  }
  if (where === undefined && isError && error.handlerFile !== undefined) {
    where = { file: path.relative(folder, own(error.handlerFile)) }
  }
  return Object.assign({ message: message.split(/\n+Require stack/)[0] }, where, { stack })
}

/** The file's own path, wherever this generation had it from. */
function cleaned(text, folder, place) {
  return text
    .split(place)
    .join(folder)
    .replace(/\?generation=\d+/g, '')
}

/** The first line that shows a source of the function: above the stack for syntax errors, in its frames for others. */
function placeIn(stack, folder) {
  const lines = stack.split('\n')
  const pattern = new RegExp(`${escaped(folder)}/((?:(?!node_modules/)[^:\\n])+?):(\\d+)(?::(\\d+))?`)
  for (let at = 0; at < lines.length; at += 1) {
    const match = pattern.exec(decoded(lines[at]))
    if (match === null || match[1].indexOf('node_modules/') !== -1) continue
    const where = { file: match[1], line: Number(match[2]) }
    if (match[3] !== undefined) where.column = Number(match[3])
    else {
      const caret = (lines[at + 2] || '').search(/\^/)
      if (caret !== -1) where.column = caret + 1
    }
    return where
  }
  // "/home/app/function/x.json: Unexpected token": Node puts the path in front of what JSON.parse says.
  const json = new RegExp(`${escaped(folder)}/([^:\\n]+\\.json): `).exec(stack)
  return json === null ? undefined : { file: json[1] }
}

function decoded(line) {
  if (line.indexOf('file://') === -1) return line
  try {
    return decodeURI(line)
  } catch (_) {
    return line
  }
}

/** A package or file that is not there: Node names the importer, and the line is where the name stands in it. */
function placeOfMissing(error, stack, folder) {
  const code = error && error.code
  if (code !== 'MODULE_NOT_FOUND' && code !== 'ERR_MODULE_NOT_FOUND') return undefined
  const named = /Cannot find (?:module|package) '([^']+)'/.exec(stack)
  const importer = new RegExp(`(?:imported from|Require stack:\\n-) (?:file://)?${escaped(folder)}/([^\\n?]+)`).exec(stack)
  if (importer === null) return undefined
  const file = importer[1]
  const where = { file }
  if (named === null) return where
  const last = named[1].replace(/\/$/, '').split('/').slice(-1)[0]
  const source = readText(path.join(folder, file)).split('\n')
  const line = source.findIndex((text) => text.indexOf(`${last}'`) !== -1 || text.indexOf(`${last}"`) !== -1)
  if (line !== -1) Object.assign(where, { line: line + 1, column: Math.max(1, source[line].search(/['"]/) + 1) })
  return where
}

function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch (_) {
    return ''
  }
}

/**
 * Node keeps the place of a syntax error in an ES module to itself and prints it only when it dies of it. So another
 * Node parses, without running anything, what was changed, and then what was not.
 */
async function parserReport(folder, place, changed) {
  const sources = listSources(folder).filter((name) => !changed.includes(name))
  for (const name of changed.concat(sources).filter((one) => /\.m?[jt]s$/.test(one)).slice(0, 50)) {
    const file = path.join(place, name)
    const output = await new Promise((resolve) => {
      const child = execFile(
        process.execPath,
        name.endsWith('ts') ? ['--check', file] : ['--check', '--input-type=module', '-'],
        { timeout: 5000, env: {} },
        (error, _, printed) => resolve(error ? printed : ''),
      )
      child.stdin.on('error', () => {})
      child.stdin.end(readText(file))
    })
    if (output === '') continue
    const shown = cleaned(output.replace('[stdin]', path.join(folder, name)), folder, place)
    const where = placeIn(shown, folder)
    if (where !== undefined) return { where, shown: shown.split('\n\n')[0] }
  }
  return undefined
}

module.exports = { describe }
