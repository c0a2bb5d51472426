import type { FunctionSource } from './builder.ts'
import type { FunctionSpec } from './function.ts'

/** A stack file, read: the functions of a project. */
export interface Stack {
  /** Absolute path of the file. */
  readonly file: string
  /** Folder that the file's relative paths start from. */
  readonly root: string
  /** `provider.gateway`, when given. */
  readonly gateway?: string
  readonly functions: readonly StackFunction[]
  readonly templates: readonly TemplateSource[]
  /** Files that were read to make this: the stack file and all environment files. Absolute. */
  readonly inputs: readonly string[]
}

export interface StackFunction {
  /** Absent for `skip_build` and for functions that have an image and no `lang`. */
  readonly source?: FunctionSource
  /** What is deployed. `namespace` is the file's, or the default. */
  readonly spec: FunctionSpec
  /** `platforms`, for publishing. */
  readonly platforms?: string
}

/** `configuration.templates`: where a template comes from. */
export interface TemplateSource {
  readonly name: string
  readonly source?: string
}

/** A stack file and what is taken of it: what `readStack` needs. */
export interface StackChoice {
  /** Absolute. */
  readonly file: string
  readonly filter?: string
  readonly regex?: string
  readonly namespace?: string
  readonly substitute: boolean
  /** Changes each function that was read, whenever the file is read. */
  readonly adjust?: (fn: StackFunction) => Promise<StackFunction>
}
