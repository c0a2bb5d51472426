import { spawn } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** A step that did not succeed, with what to do about it: shown without a stack trace. */
export class ToolFailed extends Error {}

/** One line for people. On stderr, because stdout may be read by a program. */
export function announce(line) {
  process.stderr.write(`${line}\n`)
}

/** The evidence: how a failure begins and how it ends. npm says what is wrong first, compilers last. */
export function excerpt(output, count = 12) {
  const lines = output.trimEnd().split('\n')
  if (lines.length <= 2 * count + 1) return lines
  return [...lines.slice(0, count), `… ${lines.length - 2 * count} lines …`, ...lines.slice(-count)]
}

/**
 * Runs a program quietly. Resolves with `{ ok, output }`: all that it wrote. Never rejects; a program that cannot be
 * started, or takes longer than `limitMs`, is not ok.
 */
export function runTool(command, args, { cwd, env = process.env, limitMs } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks = []
    const timer = limitMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), limitMs)
    child.stdout.on('data', (chunk) => chunks.push(chunk))
    child.stderr.on('data', (chunk) => chunks.push(chunk))
    const end = (ok, why) => {
      clearTimeout(timer)
      resolve({ ok, output: Buffer.concat(chunks).toString('utf8') + why })
    }
    child.once('error', (error) => end(false, error.message))
    child.once('close', (status) => end(status === 0, ''))
  })
}

/** The same for a program that must succeed: ToolFailed with its last lines and `remedy`. */
export async function mustRun(command, args, { remedy, ...options }) {
  const { ok, output } = await runTool(command, args, options)
  if (ok) return output
  throw new ToolFailed([`${[command, ...args].join(' ')} failed:`, ...excerpt(output), '', remedy].join('\n'))
}

/** True when a program of that name can be run. */
export function hasProgram(name, path = process.env.PATH ?? '') {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return folder !== ''
    } catch {
      return false
    }
  })
}

/** True where set-up may install packages: root on Debian, Ubuntu or what says it is like them. */
export function mayInstallPackages(osReleaseFile = '/etc/os-release', uid = process.getuid?.()) {
  if (uid !== 0) return false
  try {
    return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync(osReleaseFile, 'utf8'))
  } catch {
    return false
  }
}

/** Installs Debian packages; announced. */
export async function installPackages(packages) {
  announce(`Installing ${packages.join(', ')} with apt-get`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = ['-o', 'DPkg::Lock::Timeout=120', '-y', '-q']
  const remedy = `Install these packages yourself, then start again: ${packages.join(' ')}`
  await mustRun('apt-get', [...apt, 'update'], { env, remedy })
  await mustRun('apt-get', [...apt, 'install', '--no-install-recommends', ...packages], { env, remedy })
}

/** How to call npm: the one that runs us, else the one on PATH. */
export function npmCommand(args, env = process.env) {
  const own = env.npm_execpath
  if (own !== undefined && /npm-cli\.[cm]?js$/.test(own)) return [process.execPath, [own, ...args]]
  return [process.platform === 'win32' ? 'npm.cmd' : 'npm', args]
}
