import { FaasError } from '../core/errors.ts'
import { engineHasBuildkit, findBuildkitClient } from '../docker/buildkit-client.ts'
import { makeBuildkitBuild } from '../docker/buildkit.ts'
import { makeClassicBuild } from '../docker/classic-build.ts'
import type { Engine } from '../docker/client.ts'
import type { BuildImage } from '../docker/image-build.ts'
import type { RegistryConfig } from '../docker/registry-config.ts'

/** What FAASDOCK_BUILDER may say. `auto` is BuildKit where engine and a Docker client have it, classic otherwise. */
export type BuilderChoice = 'auto' | 'classic' | 'buildkit'

export interface BuildMethod {
  readonly kind: 'classic' | 'buildkit'
  readonly build: BuildImage
}

export interface MethodOptions {
  readonly engine: Engine
  readonly engineAddress: string | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly choice: BuilderChoice
  readonly registryConfig: () => Promise<RegistryConfig>
}

/**
 * Finds out once which builder there is. The function it gives answers with it; with BAD_CONFIG when BuildKit is
 * demanded and not there; and with BUILD_FAILED when what a function needs (`needs`) takes BuildKit.
 */
export function makeMethodChooser(options: MethodOptions): (needs?: string) => Promise<BuildMethod> {
  const classic: BuildMethod = {
    kind: 'classic',
    build: makeClassicBuild(options.engine, options.registryConfig),
  }
  let buildkit: Promise<BuildMethod | undefined> | undefined
  const look = (): Promise<BuildMethod | undefined> => {
    buildkit ??= findBuildkit(options).catch((error: unknown) => {
      // An engine that did not answer may answer next time.
      buildkit = undefined
      throw error
    })
    return buildkit
  }
  return async (needs) => {
    const found = options.choice === 'classic' ? undefined : await look()
    if (found) return found
    if (options.choice === 'buildkit') throw notThere('BAD_CONFIG', 'FAASDOCK_BUILDER=buildkit')
    if (needs !== undefined) throw notThere('BUILD_FAILED', needs, options.choice)
    return classic
  }
}

async function findBuildkit({ engine, engineAddress, env }: MethodOptions): Promise<BuildMethod | undefined> {
  const [client, engineCan] = await Promise.all([findBuildkitClient(env), engineHasBuildkit(engine)])
  if (client === undefined || !engineCan) return undefined
  return { kind: 'buildkit', build: makeBuildkitBuild({ client, engineAddress, env }) }
}

function notThere(code: 'BAD_CONFIG' | 'BUILD_FAILED', needs: string, choice?: BuilderChoice): FaasError {
  return new FaasError(code, {
    message:
      choice === 'classic'
        ? `${needs} needs BuildKit, but FAASDOCK_BUILDER=classic rules it out`
        : `${needs} needs BuildKit, and no Docker client on PATH can build with it on this engine`,
    remedy:
      choice === 'classic'
        ? 'Unset FAASDOCK_BUILDER, or do without build secrets and mount_ssh.'
        : 'Install the buildx plugin of the Docker client (package docker-buildx-plugin or docker-buildx), then try again.',
  })
}
