import type { Code } from './code.ts'

/** Template + handler → image. */
export interface Builder {
  /**
   * Builds the image of a function, or finds that an image of the same content is there already.
   * Rejects with BUILD_FAILED (the failing step and the last lines are in the message), TEMPLATE_NOT_FOUND,
   * HANDLER_NOT_FOUND, or the signal's reason. Never touches what runs.
   */
  build(source: FunctionSource, options: BuildOptions): Promise<BuildResult>
  /**
   * What a build would be made of, without building: how the dev loop tells what a save takes. Rejects as `build` does
   * for what is missing or cannot be read.
   */
  fingerprint(source: FunctionSource, options: BuildOptions): Promise<Fingerprint>
  /** Folders and files whose change can change the image: what the dev loop watches. Missing ones are included. */
  inputs(source: FunctionSource): Promise<readonly string[]>
}

/** What a build is made of. All paths are absolute. */
export interface FunctionSource {
  readonly name: string
  readonly lang: string
  readonly handler: string
  /** The image's name as the stack file says. */
  readonly image: string
  /** Folder that `template/`, `build/` and `copy` paths are relative to. */
  readonly root: string
  readonly buildArgs: Readonly<Record<string, string>>
  readonly buildOptions: readonly string[]
  /** BuildKit secret id → file. */
  readonly buildSecrets: Readonly<Record<string, string>>
  /** `configuration.copy`: paths below `root`, put under the same relative path below the handler folder. */
  readonly copy: readonly string[]
}

/** What an image would be. */
export interface Fingerprint {
  /** The `contentHash` that a build would have. */
  readonly content: string
  /** All of it but the code: where two are equal, the images differ in their code alone. */
  readonly frame: string
  /** Absent where nothing of the function can be changed without a build. */
  readonly code?: Code
  /** Name of the template's sample handler, `handler.js`, where the function has none of its own: it would answer. */
  readonly sample?: string
}

export interface BuildOptions {
  readonly signal: AbortSignal
  /** One line of the build's output, without newline. */
  readonly onOutput?: (line: string) => void
  readonly noCache?: boolean
  /** Ask the registry for newer base images. */
  readonly pull?: boolean
  /** Extra labels for the image. */
  readonly labels?: Readonly<Record<string, string>>
}

export interface BuildResult {
  readonly image: string
  /** The engine's id of the image. */
  readonly imageId: string
  /** Hash of everything that went in: template, handler, copies, build arguments, base images. */
  readonly contentHash: string
  /** Hash of the code that is in the image; absent where `Fingerprint.code` is. */
  readonly codeHash?: string
  /** True when nothing had to be built. */
  readonly cached: boolean
}
