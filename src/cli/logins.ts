import { mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { FaasError } from '../core/errors.ts'
import type { Io } from './io.ts'

/** One login as faas-cli keeps it (contract 5.6); what else an entry holds is kept with it. */
export interface Login {
  /** Lower case, without slash at the end. */
  readonly gateway: string
  /** `basic`: the token is base64 of `user:password`. `oauth2`: it is a bearer token. */
  readonly auth: string
  readonly token: string
}

/** Where logins are kept, shared with faas-cli: `OPENFAAS_CONFIG`, else `.openfaas` here in CI, else `~/.openfaas`. */
export function loginsFile({ env, cwd }: Pick<Io, 'env' | 'cwd'>): string {
  const home = env['HOME'] || homedir()
  const isCi = env['CI'] === 'true' || env['CI'] === '1'
  const folder = env['OPENFAAS_CONFIG'] || (isCi ? '.openfaas' : '~/.openfaas')
  return join(resolve(cwd, folder.replace(/^~(?=\/|$)/, home)), 'config.yml')
}

/** Every login of a file; none when it is not there. BAD_CONFIG when it is no such file, FILE_NOT_READABLE. */
export async function readLogins(file: string): Promise<Login[]> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return ''
    throw new FaasError('FILE_NOT_READABLE', {
      message: `the logins in ${file} cannot be read: ${message}`,
      remedy: 'Make the file readable for you (chmod 600), or name another folder with OPENFAAS_CONFIG.',
      cause: error,
    })
  })
  if (text.trim() === '') return []
  const { parseYaml } = await import('./yaml-text.ts')
  let content: unknown
  try {
    content = parseYaml(text)
  } catch (cause) {
    throw notLogins(file, cause)
  }
  const auths = isRecord(content) ? (content['auths'] ?? []) : undefined
  if (!Array.isArray(auths) || !auths.every(isRecord)) throw notLogins(file)
  return auths.map((entry) => ({
    ...entry,
    gateway: textOf(entry['gateway']),
    auth: textOf(entry['auth']),
    token: textOf(entry['token']),
  }))
}

/** The login for the gateway at `address`. */
export function loginFor(logins: readonly Login[], address: string): Login | undefined {
  return logins.find(({ gateway }) => gateway === address)
}

/** What a request says to be let in with this login. */
export function authorizationOf({ auth, token }: Login): string {
  return auth === 'basic' ? `Basic ${token}` : `Bearer ${token}`
}

/** Keeps a login, in place of an older one for the same gateway. Rejects as `readLogins` does. */
export async function saveLogin(file: string, login: Login): Promise<void> {
  const logins = await readLogins(file)
  const at = logins.findIndex(({ gateway }) => gateway === login.gateway)
  if (at < 0) logins.push(login)
  else logins[at] = login
  await writeLogins(file, logins)
}

/** Forgets the login for a gateway; false when there was none. Rejects as `readLogins` does. */
export async function removeLogin(file: string, address: string): Promise<boolean> {
  const logins = await readLogins(file)
  const kept = logins.filter(({ gateway }) => gateway !== address)
  if (kept.length === logins.length) return false
  await writeLogins(file, kept)
  return true
}

/** For its owner's eyes only, and whole or not at all. */
async function writeLogins(file: string, logins: readonly Login[]): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  // A link, as people who keep their settings in a repository have, stays one.
  const target = await realpath(file).catch(() => file)
  const { writeYaml } = await import('./yaml-text.ts')
  const fresh = `${target}.${process.pid}`
  try {
    await writeFile(fresh, writeYaml({ auths: logins }), { mode: 0o600, flag: 'wx' })
    await rename(fresh, target)
  } finally {
    await rm(fresh, { force: true })
  }
}

function notLogins(file: string, cause?: unknown): FaasError {
  const [why = ''] = cause instanceof Error ? cause.message.split('\n') : []
  return new FaasError('BAD_CONFIG', {
    message: `${file} does not hold logins${why === '' ? '' : `: ${why}`}`,
    remedy:
      'Correct it: auths: [{gateway, auth, token}]; or remove it and log in again with "faasdock login".',
    cause,
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
