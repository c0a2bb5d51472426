import type { Readable } from 'node:stream'

/** One build of an image, whichever builder does it. */
export interface ImageBuild {
  /** Whose image it is: what messages begin with. */
  readonly name: string
  /** The image's name and tag. It moves only when the build succeeds. */
  readonly tag: string
  /** A tar with a Dockerfile at its top. Called once. */
  readonly context: () => Readable
  readonly buildArgs: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly noCache: boolean
  /** Secret id → file. Only BuildKit has them. */
  readonly secrets: Readonly<Record<string, string>>
  /** Lend the developer's ssh-agent to the build. Only BuildKit can. */
  readonly mountSsh: boolean
  readonly signal: AbortSignal
  readonly onOutput: (line: string) => void
  /** Makes paths inside the image the developer's own, in what errors quote. */
  readonly place?: (line: string) => string
}

/**
 * Builds and tags; resolves with the image's id. Rejects with the signal's reason as soon as it aborts, BUILD_FAILED
 * with the failing step, its last lines and exit code, DISK_FULL, or ENGINE_NOT_FOUND.
 */
export type BuildImage = (build: ImageBuild) => Promise<string>
