import { existsSync, mkdirSync, readdirSync, realpathSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import {
  announce,
  excerpt,
  hasProgram,
  installPackages,
  mayInstallPackages,
  mustRun,
  npmCommand,
  runTool,
  ToolFailed,
} from './run-tool.mjs'

/** The one dependency with native code. */
const PACKAGE = 'better-sqlite3'

/**
 * Sees to it that better-sqlite3's binary is there and loads: fetched where a prebuilt one can be had, else compiled.
 * Done here and not by npm's install scripts, which newer versions of npm do not run unasked.
 */
export async function ensureNative(root) {
  if (await loads(root)) return
  const folder = join(root, 'node_modules', PACKAGE)
  const fetcher = join(root, 'node_modules/prebuild-install/bin.js')
  if (existsSync(fetcher)) {
    await runTool(process.execPath, [fetcher], { cwd: folder, limitMs: 60_000 })
    if (await loads(root)) return
  }
  await ensureToolchain()
  announce(`Compiling ${PACKAGE}: no prebuilt binary can be fetched (once, about 90 s)`)
  const attempts = []
  for await (const nodedir of headerFolders(root)) {
    const { ok, output } = await compileNative(root, folder, nodedir)
    if (ok && (await loads(root))) return
    attempts.push(output)
  }
  throw new ToolFailed(
    [
      `${PACKAGE} could not be compiled:`,
      ...excerpt(attempts.at(-1) ?? ''),
      '',
      `It needs python3, make, a C++ compiler and Node's headers. Run \`npm rebuild ${PACKAGE} --foreground-scripts\` to see more.`,
    ].join('\n'),
  )
}

/** Opens a database in another process: a binary for another Node would take ours down. */
async function loads(root) {
  const program = `new (require(${JSON.stringify(PACKAGE)}))(':memory:').close()`
  const { ok } = await runTool(process.execPath, ['-e', program], { cwd: root })
  return ok
}

/** Programs that compiling needs and that are not there, as Debian packages. */
export function missingTools(path = process.env.PATH ?? '') {
  const missing = []
  if (!hasProgram('python3', path)) missing.push('python3')
  if (!hasProgram('make', path)) missing.push('make')
  if (!['g++', 'clang++', 'c++'].some((name) => hasProgram(name, path))) missing.push('g++')
  return missing
}

async function ensureToolchain() {
  if (process.platform === 'win32') return
  const missing = missingTools()
  if (missing.length === 0) return
  if (mayInstallPackages()) return installPackages(missing)
  const command =
    process.platform === 'darwin' ? 'xcode-select --install' : `sudo apt-get install -y ${missing.join(' ')}`
  throw new ToolFailed(
    `${PACKAGE} has to be compiled here, and that needs ${missing.join(', ')}.\nRun: ${command}\nThen start again.`,
  )
}

/**
 * Where Node's headers are, best first: beside this Node, then wherever node-gyp downloads them to (undefined), then
 * in the npm package that carries this very version with its headers.
 */
async function* headerFolders(root) {
  const prefix = resolve(realpathSync(process.execPath), '../..')
  if (existsSync(join(prefix, 'include/node/node.h'))) {
    yield prefix
    return
  }
  yield undefined
  const packaged = await packagedHeaders(root)
  if (packaged !== undefined) yield packaged
}

async function packagedHeaders(root) {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return undefined
  const spec = `node-linux-${process.arch}@${process.versions.node}`
  announce(`Node's headers cannot be downloaded: taking those of the npm package ${spec}`)
  const folder = join(root, 'node_modules/.cache/faasdock-node-headers')
  mkdirSync(folder, { recursive: true })
  const [npm, args] = npmCommand(['pack', '--silent', '--pack-destination', folder, spec])
  await mustRun(npm, args, { cwd: folder, remedy: 'The package registry must be reachable.' })
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  await mustRun('tar', ['-C', folder, '-xzf', join(folder, archive), 'package/include'], { remedy: '' })
  return join(folder, 'package')
}

function compileNative(root, folder, nodedir) {
  const env = { ...process.env, JOBS: 'max', ...(nodedir !== undefined && { npm_config_nodedir: nodedir }) }
  const gyp = nodeGyp()
  if (gyp !== undefined) return runTool(process.execPath, [gyp, 'rebuild', '--release'], { cwd: folder, env })
  const [npm, args] = npmCommand(['rebuild', PACKAGE, '--ignore-scripts=false', '--foreground-scripts'])
  return runTool(npm, args, { cwd: root, env })
}

/** The node-gyp that every npm brings along. */
function nodeGyp() {
  const own = process.env.npm_execpath
  const clis = own !== undefined && /npm-cli\.[cm]?js$/.test(own) ? [own] : []
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const npm = join(folder, 'npm')
    if (folder !== '' && existsSync(npm)) clis.push(realpathSync(npm))
  }
  return clis
    .map((cli) => join(dirname(cli), '../node_modules/node-gyp/bin/node-gyp.js'))
    .find((path) => existsSync(path))
}
