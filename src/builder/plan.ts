import { access, constants, readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { BuildOptions, FunctionSource } from '../core/builder.ts'
import type { Code } from '../core/code.ts'
import { FaasError } from '../core/errors.ts'
import { engineFacts } from '../docker/client.ts'
import type { Engine } from '../docker/client.ts'
import type { RegistryConfig } from '../docker/registry-config.ts'
import { resolveBases } from './bases.ts'
import { contentArgs, platformArgs, proxyArgs } from './build-args.ts'
import type { BuildMethod } from './build-method.ts'
import { divide } from './code.ts'
import type { CodeRules } from './code.ts'
import { contentHash, FileHashes, hashFiles } from './content-hash.ts'
import { assembleContext, handlerFolderOf, IMAGE_LAYOUT } from './context.ts'
import { declaredArgs, declarePlatformArgs } from './dockerfile.ts'
import { dropOptionalMounts } from './optional-mounts.ts'
import { makePreferredImages } from './preferred-images.ts'
import { reloadRules } from './reload-rules.ts'
import { isDockerfileLang, resolveTemplate } from './template.ts'
import type { Template } from './template.ts'
import type { ContextEntry } from './tree.ts'
import { dropUnusedStages } from './unused-stages.ts'

type Args = Readonly<Record<string, string>>

/** A build, with everything decided but whether it has to happen. */
export interface BuildPlan {
  /** Identifies what the image will be. */
  readonly hash: string
  /** Identifies all of it but `code`. */
  readonly frame: string
  readonly code?: Code
  readonly method: BuildMethod
  /** What the engine gets. */
  readonly entries: readonly ContextEntry[]
  readonly fileHashes: ReadonlyMap<string, string>
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

export type PlanBuild = (source: FunctionSource, options: BuildOptions, onOutput: Tell) => Promise<BuildPlan>
type Tell = (line: string) => void

/** Makes plans; remembers between them the hashes of files and what the engine runs on. */
export function makePlanner({
  engine,
  templates,
  env,
  chooseMethod,
  registryConfig,
}: PlannerOptions): PlanBuild {
  const hashes = new FileHashes()
  const preferred = makePreferredImages(engine, registryConfig)
  let architecture: string | undefined

  return async (source, { signal, pull }, onOutput) => {
    const template = await resolveTemplate(source, templates)
    const given = contentArgs(source, template)
    const contentOnly = { ...(await preferred(template.preferredImages, given, signal, onOutput)), ...given }
    const secrets = await checkSecrets(source, template, env)
    const { tree, warnings } = await assembleContext(source, template, IMAGE_LAYOUT, signal)
    for (const warning of warnings) onOutput(`warning: ${warning}`)
    const entries = tree.list()
    const written = await readDockerfile(entries, source, template)
    const method = await chooseMethod(buildkitNeeds(source, template))
    architecture ??= (await engineFacts(engine)).architecture
    const platform = platformArgs('linux', architecture)
    const known = { ...platform, ...contentOnly }
    const dockerfile = method.kind === 'classic' ? forClassicBuilder(written, known) : written
    const fileHashes = await hashFiles(entries, hashes, signal)
    const bases = await resolveBases({
      engine,
      dockerfile,
      args: known,
      name: source.name,
      pull: pull === true ? 'always' : method.kind === 'classic' ? 'missing' : 'never',
      registryConfig,
      signal,
      onOutput,
    })
    const ingredients = {
      lang: source.lang,
      buildArgs: contentOnly,
      bases,
      secrets: [...Object.keys(secrets), ...(template.mountSsh ? ['ssh'] : [])],
    }
    const rules = await codeRules(entries, fileHashes, template)
    const { frame, code } = divide(entries, fileHashes, rules)
    const hash = contentHash(entries, fileHashes, ingredients)
    const common = {
      hash,
      frame: code === undefined ? hash : contentHash(frame, fileHashes, ingredients),
      ...(code && { code }),
      method,
      fileHashes,
      secrets,
      mountSsh: template.mountSsh,
    }
    const buildArgs = { ...proxyArgs(env), ...contentOnly }
    if (method.kind === 'buildkit') return { ...common, entries, buildArgs }
    return {
      ...common,
      entries: dockerfile === written ? entries : withDockerfile(entries, dockerfile),
      buildArgs: { ...onlyNamed(platform, declaredArgs(dockerfile)), ...buildArgs },
    }
  }
}

/** What of the context replicas can be given without a build; undefined when nothing is known of it. */
async function codeRules(
  entries: readonly ContextEntry[],
  fileHashes: ReadonlyMap<string, string>,
  template: Template,
): Promise<CodeRules | undefined> {
  if (template.reload === undefined) return undefined
  return reloadRules(entries, fileHashes, template.reload, handlerFolderOf(template))
}

/** One Dockerfile serves both builders: what the classic one lacks and a build can do without is taken out. */
function forClassicBuilder(dockerfile: string, args: Args): string {
  return dropUnusedStages(dropOptionalMounts(declarePlatformArgs(dockerfile)), args)
}

async function readDockerfile(
  entries: readonly ContextEntry[],
  source: FunctionSource,
  template: Template,
): Promise<string> {
  const entry = entries.find(({ path }) => path === 'Dockerfile')
  if (entry?.kind === 'file') return readFile(entry.file, 'utf8')
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
