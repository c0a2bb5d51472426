import { access, constants } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { BuildOptions, Fingerprint, FunctionSource } from '../core/builder.ts'
import { FaasError } from '../core/errors.ts'
import { engineFacts } from '../docker/client.ts'
import type { Engine } from '../docker/client.ts'
import type { RegistryConfig } from '../docker/registry-config.ts'
import { resolveBases } from './bases.ts'
import { contentArgs, platformArgs, proxyArgs } from './build-args.ts'
import type { BuildMethod } from './build-method.ts'
import { divide } from './code.ts'
import { makeCodeRules } from './code-rules.ts'
import { contentHash, FileHashes, hashFiles } from './content-hash.ts'
import { assembleContext, IMAGE_LAYOUT } from './context.ts'
import { declaredArgs, declarePlatformArgs } from './dockerfile.ts'
import { dropOptionalMounts } from './optional-mounts.ts'
import { makePreferredImages } from './preferred-images.ts'
import type { WrittenDockerfile } from './dockerfile-place.ts'
import { isDockerfileLang } from './template.ts'
import { makeTemplateFinder } from './template-finder.ts'
import { makeTextReader } from './text-reader.ts'
import type { ReadText } from './text-reader.ts'
import type { Template } from './template.ts'
import type { ContextEntry } from './tree.ts'
import { dropUnusedStages } from './unused-stages.ts'

type Args = Readonly<Record<string, string>>

/** A build, with everything decided but whether it has to happen. */
export interface BuildPlan {
  /** What the image will be. */
  readonly fingerprint: Fingerprint
  readonly method: BuildMethod
  /** What the engine gets. */
  readonly entries: readonly ContextEntry[]
  readonly fileHashes: ReadonlyMap<string, string>
  readonly dockerfile: WrittenDockerfile
  readonly buildArgs: Args
  /** Secret id → absolute path of its file. */
  readonly secrets: Args
  readonly mountSsh: boolean
}

export interface PlannerOptions {
  readonly engine: Engine
  readonly templates: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly chooseMethod: (needs?: string) => Promise<BuildMethod>
  readonly registryConfig: () => Promise<RegistryConfig>
}

/** What is known without asking the engine. */
interface Survey {
  readonly template: Template
  /** Build arguments that decide what the image is, but for preferred images. */
  readonly given: Args
  readonly secrets: Args
  readonly entries: readonly ContextEntry[]
  readonly fileHashes: ReadonlyMap<string, string>
  readonly dockerfile: string
  readonly sample: Pick<Fingerprint, 'sample'>
}

/** What the engine, or a registry, has to say. */
interface EngineSide {
  /** Build arguments that decide what the image is. */
  readonly args: Args
  readonly platform: Args
  readonly dockerfile: string
  readonly bases: ReadonlyMap<string, string | undefined>
}

/** Answers of the engine that are remembered; the oldest are forgotten first. */
const MAX_REMEMBERED = 500

export interface Planner {
  /** A plan of what is there now. */
  readonly plan: (source: FunctionSource, options: BuildOptions, onOutput: Tell) => Promise<BuildPlan>
  /**
   * What a plan would say. Asks the engine nothing that the function's last plan or fingerprint asked: base images that
   * were pulled meanwhile are found by the next plan.
   */
  readonly fingerprint: (
    source: FunctionSource,
    options: BuildOptions,
    onOutput: Tell,
  ) => Promise<Fingerprint>
}
type Tell = (line: string) => void

/** Makes plans; remembers between them the hashes of files and what the engine runs on. */
export function makePlanner(parts: PlannerOptions): Planner {
  const { engine, templates, env, chooseMethod, registryConfig } = parts
  const hashes = new FileHashes()
  const findTemplate = makeTemplateFinder(templates)
  const readText = makeTextReader()
  const rulesFor = makeCodeRules(readText)
  const preferred = makePreferredImages(engine, registryConfig)
  const remembered = new Map<string, EngineSide>()
  let architecture: string | undefined

  async function survey(source: FunctionSource, { signal }: BuildOptions, onOutput: Tell): Promise<Survey> {
    const template = await findTemplate(source)
    const given = contentArgs(source, template)
    const secrets = await checkSecrets(source, template, env)
    const { tree, warnings, ...sample } = await assembleContext(source, template, IMAGE_LAYOUT, signal)
    for (const warning of warnings) onOutput(`warning: ${warning}`)
    const entries = tree.list()
    const fileHashes = await hashFiles(entries, hashes, signal)
    const dockerfile = await readDockerfile(entries, fileHashes, source, template, readText)
    return { template, given, secrets, entries, fileHashes, dockerfile, sample }
  }

  async function askEngine(
    { template, given, dockerfile: written }: Survey,
    { name }: FunctionSource,
    { signal, pull }: BuildOptions,
    method: BuildMethod,
    onOutput: Tell,
  ): Promise<EngineSide> {
    const args = { ...(await preferred(template.preferredImages, given, signal, onOutput)), ...given }
    architecture ??= (await engineFacts(engine)).architecture
    const platform = platformArgs('linux', architecture)
    const known = { ...platform, ...args }
    const dockerfile = method.kind === 'classic' ? forClassicBuilder(written, known) : written
    const bases = await resolveBases({
      engine,
      dockerfile,
      args: known,
      name,
      pull: pull === true ? 'always' : method.kind === 'classic' ? 'missing' : 'never',
      registryConfig,
      signal,
      onOutput,
    })
    return { args, platform, dockerfile, bases }
  }

  /** What engine and registry said last of the same question. */
  function questionOf({ template, given, dockerfile }: Survey): string {
    return JSON.stringify([template.preferredImages, given, dockerfile])
  }

  function remember(question: string, side: EngineSide): void {
    remembered.delete(question)
    remembered.set(question, side)
    const [oldest] = remembered.keys()
    if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest)
  }

  async function judge(
    found: Survey,
    { lang }: FunctionSource,
    { args, platform, bases }: EngineSide,
  ): Promise<Fingerprint> {
    const { template, entries, fileHashes, dockerfile, secrets, sample } = found
    const ingredients = {
      lang,
      buildArgs: args,
      bases,
      secrets: [...Object.keys(secrets), ...(template.mountSsh ? ['ssh'] : [])],
    }
    const rules = await rulesFor({
      template,
      entries,
      fileHashes,
      dockerfile,
      args: { ...platform, ...args },
    })
    const { frame, code } = divide(entries, fileHashes, rules)
    const content = contentHash(entries, fileHashes, ingredients)
    if (code === undefined) return { content, frame: content, ...sample }
    return { content, frame: contentHash(frame, fileHashes, ingredients), code, ...sample }
  }

  return {
    plan: async (source, options, onOutput) => {
      const found = await survey(source, options, onOutput)
      const { template, entries, fileHashes, secrets } = found
      const method = await chooseMethod(buildkitNeeds(source, template))
      const side = await askEngine(found, source, options, method, onOutput)
      remember(questionOf(found), side)
      const { args, platform, dockerfile } = side
      const buildArgs = { ...proxyArgs(env), ...args }
      const isOurs = method.kind === 'classic'
      return {
        fingerprint: await judge(found, source, side),
        method,
        entries: dockerfile === found.dockerfile ? entries : withDockerfile(entries, dockerfile),
        fileHashes,
        dockerfile: { file: fileOf(entries, 'Dockerfile'), text: found.dockerfile },
        buildArgs: isOurs ? { ...onlyNamed(platform, declaredArgs(dockerfile)), ...buildArgs } : buildArgs,
        secrets,
        mountSsh: template.mountSsh,
      }
    },
    fingerprint: async (source, options, onOutput) => {
      const found = await survey(source, options, onOutput)
      const question = questionOf(found)
      let side = remembered.get(question)
      if (side === undefined) {
        const method = await chooseMethod(buildkitNeeds(source, found.template))
        side = await askEngine(found, source, options, method, onOutput)
        remember(question, side)
      }
      return judge(found, source, side)
    },
  }
}

/** Where an entry is on disk; its path in the context where it is on none. */
function fileOf(entries: readonly ContextEntry[], path: string): string {
  const entry = entries.find((one) => one.path === path)
  return entry?.kind === 'file' ? entry.file : path
}

/** One Dockerfile serves both builders: what the classic one lacks and a build can do without is taken out. */
function forClassicBuilder(dockerfile: string, args: Args): string {
  return dropUnusedStages(dropOptionalMounts(declarePlatformArgs(dockerfile)), args)
}

async function readDockerfile(
  entries: readonly ContextEntry[],
  fileHashes: ReadonlyMap<string, string>,
  source: FunctionSource,
  template: Template,
  readText: ReadText,
): Promise<string> {
  const entry = entries.find(({ path }) => path === 'Dockerfile')
  if (entry?.kind === 'file') return readText(entry, fileHashes.get(entry.path))
  const folder = isDockerfileLang(source.lang) ? source.handler : (template.folder ?? source.handler)
  throw new FaasError('BUILD_FAILED', {
    message: `${source.name}: there is no Dockerfile in ${folder}`,
    remedy: isDockerfileLang(source.lang)
      ? 'lang: dockerfile builds the handler folder as it is: put a Dockerfile there, or name another lang.'
      : 'A template is a folder with a Dockerfile: add one, or pull the template again.',
  })
}

/** What of a function takes BuildKit, as words for a message; undefined when nothing does. */
function buildkitNeeds(source: FunctionSource, template: Template): string | undefined {
  if (Object.keys(source.buildSecrets).length > 0) return `build_secrets of ${source.name}`
  return template.mountSsh ? `mount_ssh of the template ${source.lang}` : undefined
}

async function checkSecrets(
  source: FunctionSource,
  template: Template,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Args> {
  if (template.mountSsh && !env['SSH_AUTH_SOCK']) {
    throw new FaasError('BUILD_FAILED', {
      message: `${source.name}: the template ${source.lang} uses your ssh-agent (mount_ssh), and none is running`,
      remedy:
        'Start one and add your key: eval "$(ssh-agent)" && ssh-add. Then start faasdock from the same shell.',
    })
  }
  const files = Object.entries(source.buildSecrets).map(
    ([id, file]) => [id, resolve(source.root, file)] as const,
  )
  for (const [id, file] of files) {
    await access(file, constants.R_OK).catch((error: unknown) => {
      throw new FaasError('FILE_NOT_READABLE', {
        message: `${source.name}: the file of build secret ${JSON.stringify(id)}, ${file}, cannot be read`,
        remedy: 'Make it, or correct build_secrets in the stack file: each id names a file.',
        cause: error,
      })
    })
  }
  return Object.fromEntries(files)
}

function withDockerfile(entries: readonly ContextEntry[], text: string): readonly ContextEntry[] {
  return entries.map((entry) =>
    entry.path === 'Dockerfile'
      ? { kind: 'text', path: entry.path, mode: entry.mode, content: Buffer.from(text) }
      : entry,
  )
}

/** An argument that no Dockerfile line asks for would only make the engine warn. */
function onlyNamed(args: Args, names: ReadonlySet<string>): Args {
  return Object.fromEntries(Object.entries(args).filter(([name]) => names.has(name)))
}
