import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { askHelper, listHelper } from './credential-helper.ts'
import type { RegistryLogin } from './registry-login.ts'

/** The sign-ins of the user's Docker configuration: those that stand in its file, and those that helpers keep. */
export interface RegistryConfig {
  /** For the registry that `image` comes from; undefined when there is none. REGISTRY_DENIED when a helper fails. */
  loginFor(image: string): Promise<RegistryLogin | undefined>
  /** All there are, by the registry's name in the configuration: the engine's `X-Registry-Config`. Never rejects. */
  all(): Promise<Readonly<Record<string, RegistryLogin>>>
}

type Env = Readonly<Record<string, string | undefined>>
type Logins = Readonly<Record<string, RegistryLogin>>

const entrySchema = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
  registrytoken: z.string().optional(),
})

const configSchema = z.object({
  auths: z.record(z.string(), entrySchema).optional(),
  credsStore: z.string().optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
})

type ConfigFile = z.infer<typeof configSchema>

/** Docker has always kept its default registry's sign-in under its index's version 1 address. */
const DEFAULT_REGISTRY = /^(https?:\/\/)?index\..*\/v1\/?$/
/** Its names in images that do name it. */
const DEFAULT_HOST = /^((index|registry-1)\.)?docker\.io$/

/**
 * Reads the user's Docker config file (`DOCKER_CONFIG`, else `.docker` at home). A file that is missing or cannot be
 * read has no sign-ins: public images need none. Helpers are asked when somebody needs their login, not before.
 */
export async function readRegistryConfig(env: Env): Promise<RegistryConfig> {
  const home = env['HOME'] ?? env['USERPROFILE']
  const folder = env['DOCKER_CONFIG'] ?? (home === undefined ? undefined : join(home, '.docker'))
  const text =
    folder === undefined ? '{}' : await readFile(join(folder, 'config.json'), 'utf8').catch(() => '{}')
  return makeConfig(configSchema.safeParse(parseJson(text)).data ?? {}, env)
}

/** A configuration that has these sign-ins and no helper. */
export function fixedLogins(logins: Logins): RegistryConfig {
  return {
    loginFor: (image) => Promise.resolve(logins[keyFor(image, Object.keys(logins)) ?? '']),
    all: () => Promise.resolve(logins),
  }
}

function makeConfig({ auths = {}, credsStore, credHelpers = {} }: ConfigFile, env: Env): RegistryConfig {
  const plain = plainLogins(auths)
  const fixed = fixedLogins(plain)
  return {
    loginFor: async (image) => {
      const own = keyFor(image, Object.keys(credHelpers))
      const helper = (own === undefined ? undefined : credHelpers[own]) || credsStore
      // Docker writes down, without a login, which registries its store has one for.
      const named = own ?? keyFor(image, Object.keys(auths)) ?? hostOf(image)
      if (!helper) return fixed.loginFor(image)
      const registry = named ?? keyFor(image, await listHelper(helper, env))
      const kept = registry === undefined ? undefined : await askHelper(helper, registry, env)
      return kept ?? (await fixed.loginFor(image))
    },
    all: async () => {
      const stored = credsStore ? await listHelper(credsStore, env) : []
      const asked = [
        ...stored.map((registry) => [registry, credsStore ?? ''] as const),
        ...Object.entries(credHelpers),
      ]
      const kept = await Promise.all(
        asked.map(async ([registry, helper]) => {
          // One that fails matters to the image that needs it, and is told where that is pulled.
          const login =
            helper === '' ? undefined : await askHelper(helper, registry, env).catch(() => undefined)
          return [registry, login] as const
        }),
      )
      const found = kept.filter((entry): entry is [string, RegistryLogin] => entry[1] !== undefined)
      return { ...plain, ...Object.fromEntries(found) }
    },
  }
}

/** The registry that an image comes from; undefined for Docker's default one, which image names leave out. */
export function hostOf(image: string): string | undefined {
  const first = image.includes('/') ? image.slice(0, image.indexOf('/')) : ''
  return /[.:]|^localhost$/.test(first) && !DEFAULT_HOST.test(first) ? first : undefined
}

/** The one of a configuration's names that means the registry of `image`. */
function keyFor(image: string, names: readonly string[]): string | undefined {
  const host = hostOf(image)
  return names.find((name) =>
    host === undefined
      ? DEFAULT_REGISTRY.test(name)
      : !DEFAULT_REGISTRY.test(name) && name.replace(/^https?:\/\//, '').replace(/\/.*$/, '') === host,
  )
}

function plainLogins(auths: NonNullable<ConfigFile['auths']>): Logins {
  const logins: Record<string, RegistryLogin> = {}
  for (const [registry, { auth = '', identitytoken, registrytoken, ...apart }] of Object.entries(auths)) {
    const plain = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '')
    const colon = plain.indexOf(':')
    const username = colon < 0 ? (apart.username ?? '') : plain.slice(0, colon)
    if (username === '' && identitytoken === undefined && registrytoken === undefined) continue
    logins[registry] = {
      username,
      password: colon < 0 ? (apart.password ?? '') : plain.slice(colon + 1),
      serveraddress: registry,
      ...(identitytoken !== undefined && { identitytoken }),
      ...(registrytoken !== undefined && { registrytoken }),
    }
  }
  return logins
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return {}
  }
}
