import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'

/** What the engine needs to sign in to one registry. */
export interface RegistryLogin {
  readonly username: string
  readonly password: string
  readonly identitytoken?: string
  readonly serveraddress?: string
}

/** Registry, as the Docker config file names it → how to sign in. The engine's `X-Registry-Config`. */
export type RegistryConfig = Readonly<Record<string, RegistryLogin>>

const configSchema = z.object({
  auths: z
    .record(z.string(), z.object({ auth: z.string().optional(), identitytoken: z.string().optional() }))
    .optional(),
})

/**
 * The sign-ins in the user's Docker config file (`DOCKER_CONFIG`, else `.docker` at home) that stand there in plain.
 * Those that a credential helper keeps have no password there and are left out. A file that is missing or cannot be
 * read has none: public images need none.
 */
export async function readRegistryConfig(
  env: Readonly<Record<string, string | undefined>>,
): Promise<RegistryConfig> {
  const home = env['HOME'] ?? env['USERPROFILE']
  const folder = env['DOCKER_CONFIG'] ?? (home === undefined ? undefined : join(home, '.docker'))
  if (folder === undefined) return {}
  const text = await readFile(join(folder, 'config.json'), 'utf8').catch(() => '{}')
  const read = configSchema.safeParse(parseJson(text))
  const logins: Record<string, RegistryLogin> = {}
  for (const [registry, { auth = '', identitytoken }] of Object.entries(read.data?.auths ?? {})) {
    const plain = Buffer.from(auth, 'base64').toString('utf8')
    const colon = plain.indexOf(':')
    if (colon < 0 && identitytoken === undefined) continue
    logins[registry] = {
      username: colon < 0 ? '' : plain.slice(0, colon),
      password: colon < 0 ? '' : plain.slice(colon + 1),
      serveraddress: registry,
      ...(identitytoken !== undefined && { identitytoken }),
    }
  }
  return logins
}

/** The sign-in for the registry that `image` comes from. Images without a host come from Docker's default registry. */
export function loginFor(image: string, config: RegistryConfig): RegistryLogin | undefined {
  const first = image.includes('/') ? image.slice(0, image.indexOf('/')) : ''
  const host = /[.:]|^localhost$/.test(first) ? first : undefined
  const found = Object.entries(config).find(([registry]) => {
    const name = registry.replace(/^https?:\/\//, '')
    // Docker has always kept the default registry's sign-in under its index's version 1 address.
    return host === undefined ? /^index\..*\/v1\/?$/.test(name) : name.replace(/\/.*$/, '') === host
  })
  return found?.[1]
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return {}
  }
}
