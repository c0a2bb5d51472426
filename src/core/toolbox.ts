import type { Builder, FunctionSource } from './builder.ts'

export interface ToolboxOptions {
  /** `--engine`; absent means: search in the documented order. */
  readonly engine?: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Local operations. Making one reaches nothing: an engine is looked for when an operation first needs it. */
export interface Toolbox extends AsyncDisposable {
  readonly builder: Builder
  /** Writes the build folder of a function to `target`, deleted first (`build --shrinkwrap`). */
  shrinkwrap(source: FunctionSource, target: string): Promise<unknown>
  /** Rejects with ENGINE_FAILED when the registry or the engine refuses, or with the signal's reason. */
  push(image: string, onOutput: (line: string) => void, signal: AbortSignal): Promise<void>
  /** Templates of the project's `template/` folder below `root`, then the built-in ones that it does not replace. */
  listTemplates(root: string): Promise<readonly TemplateListing[]>
  /** Fetches templates into the `template/` folder below `root`. TEMPLATE_PULL_FAILED, BAD_TEMPLATE, the signal's reason. */
  pullTemplates(pull: TemplatePull, signal: AbortSignal): Promise<PulledTemplates>
  /** `fprocess` of the template of a function; undefined where its template says none or is not here. BAD_TEMPLATE. */
  templateProcess(source: FunctionSource): Promise<string | undefined>
  /** The GitHub repository (`owner/name`) that is known to provide a template. */
  knownRepository(lang: string): string | undefined
  /** Copies what a new function begins with to a folder that must not exist: handler, test, README. TEMPLATE_NOT_FOUND. */
  copyTemplate(starter: FunctionStarter): Promise<CopiedTemplate>
  readonly gc: {
    list(): Promise<readonly Leftover[]>
    remove(leftovers: readonly Leftover[]): Promise<void>
  }
  /** The engine that builds would use; ENGINE_NOT_FOUND. */
  engine(): Promise<EngineDescription>
  /** Looks at everything that faasdock needs and changes nothing. */
  doctor(): Promise<readonly DoctorCheck[]>
  /** Finds or installs an engine, and pulls or makes the base images that these functions are built on. */
  setup(sources: readonly FunctionSource[], onOutput: (line: string) => void): Promise<void>
}

export interface TemplatePull {
  /** Address of a git repository, `owner/name` of one on GitHub, or a folder; a branch or tag behind it as `#NAME`. */
  readonly source: string
  /** Where relative folders start. Absolute, as is `root`. */
  readonly cwd: string
  readonly root: string
  /** This one of the repository's templates, instead of all. */
  readonly only?: string
  /** Its name in `template/`, when that is another one. */
  readonly as?: string
  readonly overwrite: boolean
}

export interface PulledTemplates {
  /** Where they are from, without credentials. */
  readonly repository: string
  /** Names in `template/`. */
  readonly written: readonly string[]
  /** Names of those that were there already and stay as they are. */
  readonly kept: readonly string[]
}

interface TemplateListing {
  /** What `lang:` says to mean it. */
  readonly lang: string
  /** `language` of template.yml. */
  readonly language?: string
  /** What a handler is in it, in one line. */
  readonly description?: string
  readonly origin: 'project' | 'built-in'
}

export interface FunctionStarter {
  readonly lang: string
  /** The project, whose own templates win. */
  readonly root: string
  readonly name: string
  readonly to: string
}

export interface CopiedTemplate {
  /** Paths below the new folder. */
  readonly files: readonly string[]
  /** `welcome_message` of template.yml. */
  readonly welcome?: string
}

/** Something of a dead run that is still on the engine, or the data folder of a project that was deleted. */
export interface Leftover {
  readonly kind: 'container' | 'volume' | 'network' | 'folder'
  readonly id: string
  readonly name: string
  /** Why it is nobody's: `run of process 4711 ended`. */
  readonly reason: string
}

export interface EngineDescription {
  /** `unix:///var/run/docker.sock` */
  readonly address: string
  readonly version: string
  readonly architecture: string
}

/** One thing that was looked at. `warn` works, but not as well as it could. */
export interface DoctorCheck {
  readonly name: string
  readonly ok: 'ok' | 'warn' | 'fail'
  /** What was seen; may have several lines. */
  readonly detail: string
  /** What to do, usually a command to paste. */
  readonly remedy?: string
}
