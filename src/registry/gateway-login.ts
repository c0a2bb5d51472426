import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FaasError } from '../core/errors.ts'
import type { Login } from '../core/login.ts'

/** OpenFaaS' names of the files (contract 1.1). */
const USER_FILE = 'basic-auth-user'
const PASSWORD_FILE = 'basic-auth-password'
const DEFAULT_USER = 'admin'
const PASSWORD_BYTES = 32

export interface StoredLogin extends Login {
  /** Where the password can be read. */
  readonly passwordFile: string
}

/**
 * The login that a gateway asks for: from the files of `mountPath` when they are there, else from those of the data
 * directory, made the first time (only their owner may read them) and kept. White space around is no part of them.
 * BAD_CONFIG when there is only half of one, or when it cannot be read or used.
 */
export function gatewayLogin(mountPath: string, dataDir: string): StoredLogin {
  const given = readLogin(mountPath)
  if (given) return given
  const kept = readLogin(dataDir)
  if (kept) return kept
  writeOnce(join(dataDir, USER_FILE), DEFAULT_USER)
  // Last: with the password there, both are.
  writeOnce(join(dataDir, PASSWORD_FILE), randomBytes(PASSWORD_BYTES).toString('base64url'))
  const made = readLogin(dataDir)
  if (made) return made
  throw badLogin(dataDir, 'could not be written')
}

function readLogin(folder: string): StoredLogin | undefined {
  const [userFile, passwordFile] = [join(folder, USER_FILE), join(folder, PASSWORD_FILE)]
  // A crash between the two leaves the user alone, which is made again with the password.
  if (!existsSync(passwordFile)) return undefined
  let [user, password] = ['', '']
  try {
    ;[user, password] = [readFileSync(userFile, 'utf8').trim(), readFileSync(passwordFile, 'utf8').trim()]
  } catch (cause) {
    throw badLogin(folder, `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
  if (user === '' || password === '') throw badLogin(folder, 'are empty')
  if (user.includes(':')) throw badLogin(folder, 'name a user with ":" in it, which basic auth cannot send')
  return { user, password, passwordFile }
}

/** A crash leaves the whole file or none. */
function writeOnce(file: string, text: string): void {
  writeFileSync(`${file}~new`, text, { mode: 0o600, flush: true })
  renameSync(`${file}~new`, file)
}

function badLogin(folder: string, what: string, cause?: unknown): FaasError {
  return new FaasError('BAD_CONFIG', {
    message: `the login files ${USER_FILE} and ${PASSWORD_FILE} in ${folder} ${what}`,
    remedy: `Put a user and a password into them, point secret_mount_path elsewhere, or switch the login off with --no-auth.`,
    ...(cause !== undefined && { cause }),
  })
}
