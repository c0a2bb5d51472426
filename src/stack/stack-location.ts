import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { FaasError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'

/** A stack file as it was found. */
export interface StackBytes {
  /** Absolute path, or the address. */
  readonly file: string
  readonly bytes: Uint8Array
  /** Where the file is; undefined for one from an address. */
  readonly folder: string | undefined
}

/** Longest wait for a stack file behind an address. */
const FETCH_TIMEOUT_MS = 30_000

/** A folder may be full of manifests. */
const LOOKED_INTO = 20

/** What a stack file is called that nobody names, the likeliest first. */
export const STACK_FILES = ['stack.yaml', 'stack.yml'] as const

/** `stack.yaml`, else `stack.yml`, in a folder (contract 5.1). Throws BAD_USAGE when there is neither. */
export async function findStackFile(cwd: string): Promise<string> {
  for (const name of STACK_FILES) {
    const file = join(cwd, name)
    const found = await stat(file).catch(() => undefined)
    if (found?.isFile()) return file
  }
  const others = (await readdir(cwd).catch(() => [])).filter((name) => /\.ya?ml$/.test(name)).sort()
  const other = await likeliest(cwd, others)
  throw new FaasError('BAD_USAGE', {
    message: `there is no stack.yaml and no stack.yml in ${cwd}`,
    remedy:
      other === undefined
        ? 'Make a function and its stack file with "faasdock new NAME --lang node22", name a stack file with -f, or go to the folder that has one.'
        : `Name the stack file with -f, e.g. "-f ${other}", or go to the folder that has one.`,
  })
}

/** Among other files of YAML, the one that has functions. */
async function likeliest(folder: string, names: readonly string[]): Promise<string | undefined> {
  for (const name of names.slice(0, LOOKED_INTO)) {
    const text = await readFile(join(folder, name), 'utf8').catch(() => '')
    if (/^functions:/m.test(text)) return name
  }
  return names[0]
}

/** Reads a stack file from the disk, or from an http(s) address. Throws FILE_NOT_READABLE. */
export async function loadStack(file: string, cwd: string): Promise<StackBytes> {
  if (/^https?:\/\//i.test(file)) return { file, bytes: await download(file), folder: undefined }
  const path = resolve(cwd, file)
  try {
    return { file: path, bytes: await readFile(path), folder: dirname(path) }
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    const why =
      code === 'ENOENT'
        ? 'does not exist'
        : code === 'EISDIR'
          ? 'is a folder'
          : `cannot be read (${code ?? String(cause)})`
    throw new FaasError('FILE_NOT_READABLE', {
      message: `stack file ${path} ${why}`,
      remedy: await nearFile(path, code === 'EISDIR'),
      cause,
    })
  }
}

async function nearFile(path: string, isFolder: boolean): Promise<string> {
  const folder = isFolder ? path : dirname(path)
  const names = (await readdir(folder).catch(() => [])).filter((name) => /\.ya?ml$/.test(name)).sort()
  const near = nearest(basename(path), names)[0] ?? (isFolder ? names[0] : undefined)
  return near === undefined
    ? 'Name an existing stack file with -f.'
    : `Did you mean "-f ${join(folder, near)}"?`
}

async function download(address: string): Promise<Uint8Array> {
  try {
    const response = await fetch(address, { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) })
    if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`.trim())
    return new Uint8Array(await response.arrayBuffer())
  } catch (cause) {
    throw new FaasError('FILE_NOT_READABLE', {
      message: `stack file ${address} cannot be read: ${reasonOf(cause)}`,
      remedy:
        'Check the address, and that it can be reached from here; or save the file and name it with -f.',
      cause,
    })
  }
}

/** Why a fetch failed: it says only "fetch failed"; why is in its cause. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (!(error.cause instanceof Error)) return error.message
  const code = 'code' in error.cause && typeof error.cause.code === 'string' ? error.cause.code : undefined
  return error.cause.message || code || error.message
}
