import type { Engine } from './client.ts'
import { engineFailure, isMissing } from './errors.ts'

/** What an image says of itself. */
export interface ImageFacts {
  readonly labels: Readonly<Record<string, string>>
  readonly env: ReadonlyMap<string, string>
  /** What it starts: entry point and arguments. */
  readonly command: readonly string[]
  /** Where it starts that. */
  readonly folder: string
}

/** The types say that these are always there; the engine leaves out or nulls what an image does not set. */
interface ImageSettings {
  readonly Labels?: Record<string, string> | null
  readonly Env?: string[] | null
  readonly Entrypoint?: string[] | string | null
  readonly Cmd?: string[] | string | null
  readonly WorkingDir?: string
}

/** A variable that a container was started with; undefined without it, and when the container is gone. ENGINE_FAILED. */
export async function containerVariable(
  engine: Engine,
  container: string,
  name: string,
): Promise<string | undefined> {
  try {
    const { Config } = await engine.getContainer(container).inspect()
    return new Map(((Config as ImageSettings).Env ?? []).map((line) => split(line))).get(name)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw engineFailure(error, `inspect container ${container.slice(0, 12)}`)
  }
}

/** Undefined when the image is not on the engine. ENGINE_FAILED. */
export async function imageFacts(engine: Engine, image: string): Promise<ImageFacts | undefined> {
  try {
    const { Config } = await engine.getImage(image).inspect()
    const { Labels, Env, Entrypoint, Cmd, WorkingDir } = Config as ImageSettings
    return {
      labels: Labels ?? {},
      env: new Map((Env ?? []).map((line) => split(line))),
      command: [Entrypoint ?? [], Cmd ?? []].flat(),
      folder: WorkingDir ?? '',
    }
  } catch (error) {
    if (isMissing(error)) return undefined
    throw engineFailure(error, `inspect the image ${image}`)
  }
}

function split(line: string): [string, string] {
  const at = line.indexOf('=')
  return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)]
}
