import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { FaasError } from '../core/errors.ts'

/** Where handlers go in a template that does not say. */
const DEFAULT_HANDLER_FOLDER = 'function'

/** `null` is what YAML makes of a key without a value; templates have those. */
function optional<T extends z.ZodType>(schema: T) {
  return schema.nullish().transform((value) => value ?? undefined)
}

const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String)

const templateYmlSchema = z.object({
  language: optional(z.string()),
  fprocess: optional(z.string()),
  build_options: optional(z.array(z.object({ name: z.string(), packages: optional(z.array(z.string())) }))),
  welcome_message: optional(z.string()),
  handler_folder: optional(z.string()),
  mount_ssh: optional(z.boolean()),
  languages: optional(z.record(z.string(), z.record(z.string(), scalar).nullable())),
  descriptions: optional(z.record(z.string(), z.string())),
  preferred_images: optional(z.record(z.string(), z.string().min(1))),
  reload: optional(
    z.object({
      way: z.enum(['swap', 'files']),
      folder: z.string().regex(/^\/[^$]*[^/$]$/, 'must be a folder of the image, absolute'),
      dependencies: optional(z.literal('npm')),
      build: optional(z.array(z.string())),
      kept: optional(z.array(z.string())),
      absent: optional(z.array(z.string())),
      sample: optional(z.object({ file: z.string(), like: z.string(), unless: z.array(z.string()) })),
    }),
  ),
})

/** How a save reaches replicas without a build; patterns are those of a .dockerignore, relative to the handler folder. */
export interface Reload {
  readonly way: 'swap' | 'files'
  /** Where the build puts the handler's files in the image. */
  readonly folder: string
  /** Whose manifests the build reads: those take a build. */
  readonly dependencies?: 'npm'
  /** What else takes a build: other manifests, and what a process cannot take twice. */
  readonly build: readonly string[]
  /** What the runtime neither takes nor removes. */
  readonly kept: readonly string[]
  /** What the build leaves out of the image. */
  readonly absent: readonly string[]
  /** A file that the build leaves out where it is `like` one of the template and one of the others is there. */
  readonly sample?: { readonly file: string; readonly like: string; readonly unless: readonly string[] }
}

/** A template.yml, read (contract 5.3), with our own `languages`, `descriptions`, `preferred_images` and `reload`. */
export interface TemplateYml {
  readonly language?: string
  readonly fprocess?: string
  /** Build option → packages it adds. */
  readonly buildOptions: ReadonlyMap<string, readonly string[]>
  readonly welcomeMessage?: string
  /** Relative to the template, with `/`, and inside it. */
  readonly handlerFolder: string
  readonly mountSsh: boolean
  /** Lang → build arguments, for a template that serves several langs. */
  readonly languages: ReadonlyMap<string, Readonly<Record<string, string>>>
  /** Lang, or the beginning of several → what a handler is, in one line. */
  readonly descriptions: ReadonlyMap<string, string>
  /** Build argument → image that it names where that image can be had; the Dockerfile does without otherwise. */
  readonly preferredImages: Readonly<Record<string, string>>
  /** Absent where the Dockerfile alone has to tell. */
  readonly reload?: Reload
}

/**
 * Reads the template.yml of a template folder. One that is not there reads as an empty one (pitfall 13); unknown keys
 * are ignored. BAD_TEMPLATE names the file and each wrong key.
 */
export async function readTemplateYml(folder: string): Promise<TemplateYml> {
  const file = join(folder, 'template.yml')
  let text = ''
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw notReadable(file, error)
  }
  const document = parseDocument(text)
  const [broken] = document.errors
  if (broken) throw bad(file, [broken.message.trimEnd()], broken)
  const read = templateYmlSchema.safeParse(document.toJS() ?? {})
  if (!read.success) {
    throw bad(
      file,
      read.error.issues.map(({ path, message }) => `${path.join('.') || 'the file'}: ${message}`),
    )
  }
  const yml = read.data
  return {
    ...(yml.language !== undefined && { language: yml.language }),
    ...(yml.fprocess !== undefined && { fprocess: yml.fprocess }),
    ...(yml.welcome_message !== undefined && { welcomeMessage: yml.welcome_message }),
    buildOptions: new Map((yml.build_options ?? []).map(({ name, packages }) => [name, packages ?? []])),
    handlerFolder: handlerFolder(yml.handler_folder, file),
    mountSsh: yml.mount_ssh ?? false,
    languages: new Map(Object.entries(yml.languages ?? {}).map(([lang, args]) => [lang, args ?? {}])),
    descriptions: new Map(Object.entries(yml.descriptions ?? {})),
    preferredImages: yml.preferred_images ?? {},
    ...(yml.reload && {
      reload: {
        way: yml.reload.way,
        folder: yml.reload.folder,
        ...(yml.reload.dependencies && { dependencies: yml.reload.dependencies }),
        build: yml.reload.build ?? [],
        kept: yml.reload.kept ?? [],
        absent: yml.reload.absent ?? [],
        ...(yml.reload.sample && { sample: yml.reload.sample }),
      },
    }),
  }
}

function handlerFolder(written: string | undefined, file: string): string {
  if (written === undefined || written === '') return DEFAULT_HANDLER_FOLDER
  const folder = posix.normalize(written.replaceAll('\\', '/')).replace(/\/$/, '')
  if (folder === '..' || folder.startsWith('../') || folder.startsWith('/')) {
    throw bad(file, [`handler_folder: ${JSON.stringify(written)} is not inside the template`])
  }
  return folder
}

function bad(file: string, mistakes: readonly string[], cause?: unknown): FaasError {
  return new FaasError('BAD_TEMPLATE', {
    message: [`${file} has ${mistakes.length === 1 ? 'a mistake' : 'mistakes'}:`, ...mistakes].join('\n  '),
    remedy:
      'Correct it; it may have language, fprocess, welcome_message, handler_folder (texts), mount_ssh (true or false), ' +
      'build_options (a list of name and packages), languages (lang: build arguments), descriptions (lang: ' +
      'text), preferred_images (build argument: image) and reload (way, folder, dependencies, build, kept, absent, sample).',
    cause,
  })
}

function notReadable(file: string, cause: unknown): FaasError {
  return new FaasError('FILE_NOT_READABLE', {
    message: `${file} cannot be read: ${(cause as Error).message}`,
    remedy: 'Check its permissions.',
    cause,
  })
}
