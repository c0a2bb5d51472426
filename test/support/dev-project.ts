import { expect } from 'vitest'
import type { Builder, Fingerprint } from '../../src/core/builder.ts'
import type { Code, CodeFile } from '../../src/core/code.ts'
import { FaasError } from '../../src/core/errors.ts'
import type { FunctionSpec, Revision } from '../../src/core/function.ts'
import { silentLog } from '../../src/core/log.ts'
import type { Stack, StackFunction } from '../../src/core/stack.ts'
import type { FileChange, Watcher } from '../../src/core/watcher.ts'
import { DevLoop } from '../../src/engine/dev-loop.ts'
import { MemoryProvider } from '../../src/provider/memory/memory-provider.ts'
import type { MemoryImage } from '../../src/provider/memory/memory-provider.ts'
import { makePlatform, specOf } from './platform.ts'
import type { TestPlatform } from './platform.ts'

export const FILE = '/project/stack.yml'
export const SECRETS = '/project/.secrets'
/** After so long without a save its outcome is final, also a bad one. */
const LONG_QUIET_MS = 350

/** A project on a disk of its own: what is written in it is what is built, and told to who watches. */
export interface Project extends AsyncDisposable {
  readonly platform: TestPlatform
  /** Of a platform of its own. */
  readonly provider: CodedProvider
  readonly loop: DevLoop
  /**
   * Handler folder → content. `broken…` does not build, `slow…` waits until it is given up or released, and `huge…` to be looked at. With a slash,
   * what follows is code that replicas take without a build, by file: `frame/a=1,b=2`; `untested` in it makes no image,
   * and `sample` is a template's instead of the function's own.
   */
  readonly sources: Map<string, string>
  readonly secrets: Map<string, Uint8Array>
  readonly builds: string[]
  /** Contents that were looked at, without a build. */
  readonly looks: string[]
  readonly aborted: string[]
  readonly watched: () => readonly string[]
  stack: StackFunction[] | Error
  /** Writes, and turns the clock until everything that is due was begun. */
  save(path: string, content?: string): Promise<void>
  /** As an editor does: time does not wait for it. */
  touch(path: string, isGone?: boolean): void
  release(): void
  answer(spec: FunctionSpec): string | undefined
}

/** Answers with the id of its image; one that was built from `never…` never gets ready, one from `dying…` ends. */
const app: MemoryImage = {
  listener: (_revision) => (_request, response) => void response.end(),
  start: ({ imageId = '' }, signal) => {
    if (imageId.includes('dying'))
      return Promise.reject(new FaasError('REPLICA_EXITED', { message: 'it died', remedy: '-' }))
    if (!imageId.includes('never')) return Promise.resolve()
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      if (signal.aborted) reject(signal.reason as Error)
    })
  },
}

export function fnOf(name: string, more: Partial<FunctionSpec> = {}): StackFunction {
  return {
    spec: specOf(name, 'app', more),
    source: {
      name,
      lang: 'node',
      handler: `/project/${name}`,
      image: 'app',
      root: '/project',
      buildArgs: {},
      buildOptions: [],
      buildSecrets: {},
      copy: [],
    },
  }
}

function fingerprintOf(
  handler: string,
  content: string,
  way: Code['way'],
  disk: ReadonlyMap<string, string>,
): Fingerprint {
  const [frame = '', hash] = content.split('/')
  if (hash === undefined) return { content, frame }
  const file = (text: string): CodeFile => ({
    hash: text,
    mode: 0o644,
    size: text.length,
    source: `${handler}/${hash}`,
    read: () =>
      disk.get(handler) === content
        ? Promise.resolve(Buffer.from(text))
        : Promise.reject(new FaasError('FILE_NOT_READABLE', { message: `${text} was changed`, remedy: '-' })),
  })
  const files = hash.split(',').map((pair) => {
    const [path = '', text = ''] = pair.split('=')
    return [path, file(text)] as const
  })
  const sample = hash.includes('sample') && { sample: 'handler.js' }
  return { content, frame, code: { hash, way, folder: '/app', files: new Map(files) }, ...sample }
}

/** Replicas that can be given code: what does not load is `bad`, what takes for ever `stuck`. */
class CodedProvider extends MemoryProvider {
  /** Every code that was asked for, with the image below it. */
  readonly asked: string[] = []
  /** By name of the function. */
  readonly running = new Map<string, string>()

  override async deploy(revision: Revision, replicas: number, signal: AbortSignal): Promise<void> {
    const { code, ...plain } = revision
    const { name } = revision.spec
    if (code) this.asked.push(`${revision.id}: ${code.wanted.hash} over ${code.inImage}`)
    // Nothing loads where nothing runs.
    const isNew = replicas > 0 && code !== undefined && this.running.get(name) !== code.wanted.hash
    if (isNew && code.wanted.hash !== code.inImage)
      for (const file of code.wanted.files.values()) await file.read(signal)
    if (isNew && code.wanted.hash.includes('stuck'))
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      })
    if (isNew && code.wanted.hash.includes('bad'))
      throw new FaasError('CODE_NOT_LOADED', {
        message: 'SyntaxError: unexpected',
        remedy: 'Correct it.',
        place: { file: `/project/${name}/${code.wanted.hash}`, line: 1, column: 2 },
      })
    await super.deploy(plain, replicas, signal)
    if (replicas > 0) this.running.set(name, code?.wanted.hash ?? revision.imageId ?? '')
  }
}

export async function makeProject(
  stack: StackFunction[],
  given: {
    watchTakes?: () => Promise<void>
    platform?: TestPlatform
    files?: ReadonlyMap<string, Uint8Array>
    way?: Code['way']
    isPartial?: boolean
  } = {},
): Promise<Project> {
  const provider = new CodedProvider({ images: { app }, drainMs: 0 })
  const platform = given.platform ?? (await makePlatform({ app }, { provider }))
  const { clock } = platform
  const sources = new Map(stack.map(({ spec }) => [`/project/${spec.name}`, `${spec.name}-1`]))
  const secrets = new Map<string, Uint8Array>()
  const builds: string[] = []
  const looks: string[] = []
  const aborted: string[] = []
  const held = new Set<() => void>()
  interface Watch {
    readonly paths: readonly string[]
    readonly onChange: (change: FileChange) => void
  }
  let watch: Watch | undefined
  const open = new Set<Watch>()

  const untilReleased = (signal: AbortSignal, onAbort?: () => void): Promise<void> =>
    new Promise((resolve, reject) => {
      held.add(resolve)
      signal.addEventListener('abort', () => {
        onAbort?.()
        reject(signal.reason as Error)
      })
    })
  const builder: Builder = {
    inputs: ({ handler, lang }) =>
      handler.includes('unreadable')
        ? Promise.reject(new Error('cannot look'))
        : Promise.resolve([handler, `/project/template/${lang}`]),
    fingerprint: async ({ handler }, { signal }) => {
      const content = sources.get(handler)
      looks.push(content ?? '')
      if (content?.startsWith('huge')) await untilReleased(signal)
      return content === undefined
        ? Promise.reject(new FaasError('HANDLER_NOT_FOUND', { message: `${handler} is gone`, remedy: '-' }))
        : Promise.resolve(fingerprintOf(handler, content, given.way ?? 'swap', sources))
    },
    build: async ({ handler, image }, { signal, onOutput }) => {
      const content = sources.get(handler) ?? ''
      builds.push(content)
      onOutput?.(`building ${content}`)
      if (content.startsWith('slow')) await untilReleased(signal, () => aborted.push(content))
      if (content.startsWith('broken') || content.includes('untested'))
        throw new FaasError('BUILD_FAILED', { message: `${content} does not build`, remedy: 'Mend it.' })
      const { code } = fingerprintOf(handler, content, 'swap', sources)
      const codeHash = code && { codeHash: code.hash }
      return { image, imageId: `id:${content}`, contentHash: content, ...codeHash, cached: false }
    },
  }
  const watcher: Watcher = {
    watch: async (paths, onChange) => {
      await given.watchTakes?.()
      const mine = { paths, onChange }
      open.add((watch = mine))
      return {
        [Symbol.asyncDispose]: () => {
          open.delete(mine)
          return Promise.resolve()
        },
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const project: Project = {
    platform,
    provider,
    sources,
    secrets,
    builds,
    looks,
    aborted,
    stack,
    watched: () => (open.size === 1 ? (watch?.paths ?? []) : [`${open.size} watches are open`]),
    loop: new DevLoop(
      { ...platform, builder, watcher, log: silentLog },
      {
        file: FILE,
        watch: true,
        isPartial: given.isPartial === true,
        readStack: () =>
          project.stack instanceof Error
            ? Promise.reject(project.stack)
            : Promise.resolve<Stack>({
                file: FILE,
                root: '/project',
                functions: project.stack,
                templates: [],
                inputs: [FILE, '/project/env.yml'],
              }),
        readSecrets: () => Promise.resolve(secrets),
        secretsFolder: () => SECRETS,
        readSource: (file) => Promise.resolve(given.files?.get(file)),
      },
    ),
    save: async (path, content) => {
      if (content !== undefined) sources.set(path.split('/').slice(0, 3).join('/'), content)
      watch?.onChange({ path, isGone: false })
      await clock.advance(LONG_QUIET_MS)
    },
    touch: (path, isGone = false) => watch?.onChange({ path, isGone }),
    release: () => {
      for (const one of held) one()
      held.clear()
    },
    answer: (spec) => {
      const actual = platform.provider.actual(spec)
      if (!actual?.available) return undefined
      const { revision, lastGood } = platform.registry.functions.get(spec) ?? {}
      return [revision, lastGood].find((one) => one?.id === actual.revision)?.imageId
    },
    [Symbol.asyncDispose]: async () => {
      await project.loop[Symbol.asyncDispose]()
      expect(open.size).toBe(0)
      if (!given.platform) await platform[Symbol.asyncDispose]()
      await provider[Symbol.asyncDispose]()
    },
  }
  return project
}
