import { spawn } from 'node:child_process'
import { FaasError } from '../core/errors.ts'
import type { RegistryLogin } from './registry-login.ts'

type Env = Readonly<Record<string, string | undefined>>

/** A helper may ask its cloud, or its user; one that never answers must not hold up a deploy for good. */
const LIMIT_MS = 30_000
/** What a helper says for a registry that it does not know (docker-credential-helpers' own words). */
const NOT_FOUND = /credentials not found/i
/** The name of a token's user, where the secret is no password. */
const TOKEN_USER = '<token>'

/**
 * Asks `docker-credential-NAME` for the login of a registry, as the Docker client does: the registry on standard input,
 * JSON on standard output. Undefined when it knows none. REGISTRY_DENIED when it is missing, fails or does not answer.
 */
export async function askHelper(
  name: string,
  registry: string,
  env: Env,
): Promise<RegistryLogin | undefined> {
  const { code, stdout, stderr } = await runHelper(name, 'get', registry, env)
  if (code !== 0) {
    const said = (stdout.trim() || stderr.trim()).split('\n')[0] ?? ''
    if (NOT_FOUND.test(said)) return undefined
    throw helperFailed(name, registry, `ended with ${String(code)}${said === '' ? '' : `: ${said}`}`)
  }
  const { Username: username, Secret: secret } = parse(stdout, name, registry)
  if (typeof username !== 'string' || typeof secret !== 'string')
    throw helperFailed(name, registry, 'gave no Username and Secret')
  if (username === TOKEN_USER)
    return { username: '', password: '', identitytoken: secret, serveraddress: registry }
  return { username, password: secret, serveraddress: registry }
}

/** The registries that a helper has logins for. None when it cannot say. */
export async function listHelper(name: string, env: Env): Promise<readonly string[]> {
  try {
    const { code, stdout } = await runHelper(name, 'list', '', env)
    return code === 0 ? Object.keys(JSON.parse(stdout) as object) : []
  } catch {
    return []
  }
}

interface HelperAnswer {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function runHelper(name: string, action: string, input: string, env: Env): Promise<HelperAnswer> {
  const program = `docker-credential-${name}`
  // The name comes from a file, and is looked up on PATH: it must not be a path of its own.
  if (!/^[\w.-]+$/.test(name)) throw helperFailed(name, input, 'is not the name of a program')
  return new Promise((resolve, reject) => {
    const child = spawn(program, [action], { env: { ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    const limit = setTimeout(() => {
      child.kill('SIGKILL')
      child.stdout.destroy()
      child.stderr.destroy()
      reject(helperFailed(name, input, `did not answer within ${LIMIT_MS / 1000} s`))
    }, LIMIT_MS)
    child.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(limit)
      const isMissing = error.code === 'ENOENT'
      reject(isMissing ? helperMissing(name, input) : helperFailed(name, input, error.message))
    })
    child.once('close', (code) => {
      clearTimeout(limit)
      resolve({ code, stdout, stderr })
    })
    // It may end before it has read what it was asked.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
  })
}

function parse(stdout: string, name: string, registry: string): { Username?: unknown; Secret?: unknown } {
  try {
    return JSON.parse(stdout) as object
  } catch {
    // Without what it said: that may hold the password.
    throw helperFailed(name, registry, 'gave something that is not JSON')
  }
}

function helperMissing(name: string, registry: string): FaasError {
  return new FaasError('REGISTRY_DENIED', {
    message: `the login for ${registry} is kept by the credential helper docker-credential-${name}, which is not on PATH`,
    remedy: `Install it, or take it out of credsStore or credHelpers in Docker’s config.json and log in again: docker login ${registry}.`,
  })
}

function helperFailed(name: string, registry: string, how: string): FaasError {
  return new FaasError('REGISTRY_DENIED', {
    message: `the credential helper docker-credential-${name} ${how}, asked for the login of ${registry}`,
    remedy: `Try it: echo ${registry} | docker-credential-${name} get. Or log in again: docker login ${registry}.`,
  })
}
