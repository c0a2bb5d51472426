import Docker from 'dockerode'
import { engineFailure } from './errors.ts'

/** A connected engine. Its type is dockerode's, and stays in the rooms that talk to Docker. */
export type Engine = Docker

/** Where an engine is: what dockerode's constructor takes. */
export type EngineAddress = Docker.DockerOptions

export interface EngineFacts {
  readonly version: string
  readonly apiVersion: string
  /** As images write it: `amd64`. */
  readonly architecture: string
  /** How containers' output is best kept there: not every engine has `local`, which changes no byte of it. */
  readonly logDriver: 'local' | 'json-file'
}

/** A client for the engine at `address`. Nothing is sent yet. */
export function makeEngine(address: EngineAddress): Engine {
  return new Docker(address)
}

/** Asks the engine who it is. ENGINE_NOT_FOUND when it does not answer. */
export async function engineFacts(engine: Engine): Promise<EngineFacts> {
  try {
    const version = await engine.version()
    const components = (version.Components as readonly { Name: string }[] | undefined) ?? []
    const isPodman = components.some(({ Name }) => /podman/i.test(Name))
    return {
      version: version.Version,
      apiVersion: version.ApiVersion,
      architecture: version.Arch,
      logDriver: isPodman ? 'json-file' : 'local',
    }
  } catch (error) {
    throw engineFailure(error, 'say its version')
  }
}
