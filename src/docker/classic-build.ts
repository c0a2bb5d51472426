import type { Readable } from 'node:stream'
import type { Engine } from './client.ts'
import { engineFailure } from './errors.ts'
import type { BuildImage, ImageBuild } from './image-build.ts'
import { followBuild } from './progress.ts'
import type { RegistryConfig } from './registry-config.ts'
import { buildFailure, saidBy } from './step-log.ts'

/** Builds with the engine's classic builder, which every engine has and which needs no Docker client. */
export function makeClassicBuild(engine: Engine, registryConfig: () => Promise<RegistryConfig>): BuildImage {
  return async (build) => {
    const { signal } = build
    const logins = await (await registryConfig()).all()
    signal.throwIfAborted()
    const context = build.context()
    const broken = failureOf(context)
    try {
      const stream = await engine.buildImage(context, {
        ...optionsOf(build),
        registryconfig: mutable(logins),
      })
      return await followBuild(stream, build)
    } catch (error) {
      signal.throwIfAborted()
      throw broken() ?? asBuildFailure(error, build)
    } finally {
      context.destroy()
    }
  }
}

function optionsOf({ tag, buildArgs, labels, noCache, signal }: ImageBuild) {
  return {
    t: tag,
    buildargs: { ...buildArgs },
    labels: { ...labels },
    nocache: noCache,
    // Containers of finished and of failed steps are removed, so that an aborted build leaves nothing.
    rm: true,
    forcerm: true,
    abortSignal: signal,
  }
}

/** dockerode's type asks for more than the engine does. */
function mutable(
  logins: Awaited<ReturnType<RegistryConfig['all']>>,
): Record<string, { username: string; password: string }> {
  return Object.fromEntries(Object.entries(logins).map(([registry, login]) => [registry, { ...login }]))
}

/** Remembers why a stream failed: the request only says that it did. */
function failureOf(stream: Readable): () => Error | undefined {
  let failure: Error | undefined
  stream.once('error', (error) => (failure = error))
  return () => failure
}

/** The engine refuses a Dockerfile it cannot parse before the stream begins: that is the build's failure, not the engine's. */
function asBuildFailure(error: unknown, { name }: ImageBuild): Error {
  const { statusCode } = error as Error & { statusCode?: number }
  if (statusCode === undefined) return engineFailure(error, `build ${name}`)
  return buildFailure({ name, reason: saidBy(error) })
}
