import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { FaasError } from '../core/errors.ts'

export interface DebugpyOptions {
  /** Where it is kept for all projects of this user. */
  readonly folder: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Names a wheel to use instead of one that pip gets. */
const WHEEL_VARIABLE = 'FAASDOCK_DEBUGPY'
const PYTHONS = ['python3', 'python']
/** The one without machine code, which runs wherever there is Python. */
const UNIVERSAL = ['--platform', 'any', '--implementation', 'py', '--abi', 'none', '--python-version', '3.12']
const LIMIT_MS = 120_000

const run = promisify(execFile)

/**
 * The wheel of debugpy: the one that FAASDOCK_DEBUGPY names, else the one that was got before, else from wherever this
 * user's pip gets its packages. DEBUGGER_UNAVAILABLE.
 */
export async function debugpyWheel({ folder, env }: DebugpyOptions): Promise<Uint8Array> {
  const given = env[WHEEL_VARIABLE]
  if (given) return readFile(given).catch((cause: unknown) => Promise.reject(notReadable(given, cause)))
  return (await kept(folder)) ?? (await download(folder, env))
}

async function kept(folder: string): Promise<Uint8Array | undefined> {
  const names = await readdir(folder).catch(() => [])
  const wheel = names.filter((name) => name.endsWith('.whl')).sort()[0]
  return wheel === undefined ? undefined : readFile(join(folder, wheel)).catch(() => undefined)
}

async function download(folder: string, env: DebugpyOptions['env']): Promise<Uint8Array> {
  let last: unknown
  await mkdir(folder, { recursive: true })
  const aside = await mkdtemp(join(folder, 'getting-'))
  try {
    for (const python of PYTHONS) {
      try {
        const asked = ['-m', 'pip', 'download', 'debugpy', '--no-deps', '--only-binary=:all:', ...UNIVERSAL]
        const quiet = ['--disable-pip-version-check', '--quiet', '--dest', aside]
        await run(python, [...asked, ...quiet], { env, timeout: LIMIT_MS })
        const [wheel = ''] = await readdir(aside)
        await rename(join(aside, wheel), join(folder, basename(wheel)))
        return await readFile(join(folder, wheel))
      } catch (error) {
        // A Python without pip says less than a pip that fails.
        if (last === undefined || isMissing(last)) last = error
      }
    }
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
  throw notGot(last)
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

const REMEDY = `Add debugpy to the function's requirements.txt; or get pip on this machine to download it; or name its wheel (debugpy-…-py2.py3-none-any.whl) by ${WHEEL_VARIABLE}.`

function notGot(cause: unknown): FaasError {
  const said = (cause as { stderr?: string } | undefined)?.stderr?.trim().split('\n').at(-1)
  const why = isMissing(cause)
    ? 'there is no Python on this machine that could get it'
    : (said ?? String(cause))
  return new FaasError('DEBUGGER_UNAVAILABLE', {
    message: `debugpy, the debugger of Python, is not in the function and could not be had: ${why}`,
    remedy: REMEDY,
    cause,
  })
}

function notReadable(file: string, cause: unknown): FaasError {
  return new FaasError('DEBUGGER_UNAVAILABLE', {
    message: `${WHEEL_VARIABLE} names ${file}, which cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
    remedy: REMEDY,
    cause,
  })
}
