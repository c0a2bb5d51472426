import type { Option } from 'commander'
import { FaasError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import { flag } from './command.ts'
import type { Context } from './command.ts'
import { readJsonDocument, unreadable } from './read-document.ts'

/** Where OpenFaaS keeps its list of functions. */
const DEFAULT_STORE = 'https://raw.githubusercontent.com/openfaas/store/master/functions.json'

/** What the store calls the processors that Node names otherwise. */
const PLATFORMS: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'arm64', arm: 'armhf' }

type Texts = Readonly<Record<string, string>>

/** One function of a store, in the words of the store's own format (version 2). */
export interface StoreFunction {
  readonly name: string
  readonly title: string
  readonly description: string
  readonly author: string
  readonly fprocess: string
  readonly repo_url: string
  readonly readOnlyRootFilesystem: boolean
  readonly environment: Texts
  readonly labels: Texts
  readonly annotations: Texts
  /** Image for each platform. */
  readonly images: Texts
}

export interface StoreFlags {
  readonly url?: string
  readonly platform?: string
}

export function storeOptions(): Option[] {
  return [
    flag(
      '-u, --url <address>',
      'list of functions: an address or a file (default: that of OpenFaaS) (env: OPENFAAS_STORE)',
    ),
    flag(
      '-p, --platform <name>',
      'images for this platform: x86_64, arm64, armhf (default: that of this machine)',
    ),
  ]
}

/** A store, read. */
export interface Store {
  readonly place: string
  readonly platform: string
  /** Those that have an image for the platform. */
  readonly functions: readonly StoreFunction[]
  /** Platforms that any function of the store has an image for. */
  readonly platforms: readonly string[]
}

/** The store at `--url`, else OPENFAAS_STORE, else that of OpenFaaS. FILE_NOT_READABLE. */
export async function readStore(context: Context, flags: StoreFlags): Promise<Store> {
  const place = flags.url ?? (context.io.env['OPENFAAS_STORE'] || DEFAULT_STORE)
  const content = await readJsonDocument(context, place, 'the store')
  const entries = (content as { functions?: unknown } | null)?.functions
  if (!Array.isArray(entries))
    throw unreadable(`${place} is no store of functions: {"functions": […]} is expected`)
  const all = entries.map((entry, index) => readEntry(entry, index, place))
  const platform = flags.platform ?? PLATFORMS[process.arch] ?? process.arch
  return {
    place,
    platform,
    functions: all.filter((fn) => imageFor(fn, platform) !== undefined),
    platforms: [...new Set(all.flatMap(({ images }) => Object.keys(images)))].sort(),
  }
}

/** The image of a function for a platform; its case does not count. */
function imageFor({ images }: StoreFunction, platform: string): string | undefined {
  return Object.entries(images).find(([name]) => name.toLowerCase() === platform.toLowerCase())?.[1]
}

/** The function of that name or title, and its image. FUNCTION_NOT_FOUND. */
export function findStoreFunction(
  store: Store,
  wanted: string,
): { readonly fn: StoreFunction; readonly image: string } {
  const { functions, platform, place, platforms } = store
  const fn = functions.find(({ name, title }) => name === wanted || title === wanted)
  const image = fn && imageFor(fn, platform)
  if (fn && image !== undefined) return { fn, image }
  const near = nearest(
    wanted,
    functions.map(({ name }) => name),
  )
  throw new FaasError('FUNCTION_NOT_FOUND', {
    message: `there is no function ${JSON.stringify(wanted)} for ${platform} in ${place}`,
    remedy:
      near.length > 0
        ? `Did you mean ${near.join(', ')}?`
        : `See "faasdock store list"; the store has platforms ${platforms.join(', ')} (--platform).`,
  })
}

function readEntry(entry: unknown, index: number, place: string): StoreFunction {
  const fields = (typeof entry === 'object' && entry !== null ? entry : {}) as Record<string, unknown>
  const text = (name: string): string => (typeof fields[name] === 'string' ? fields[name] : '')
  const images = texts(fields['images'])
  if (text('name') === '' || Object.keys(images).length === 0)
    throw unreadable(`function ${index + 1} of ${place} is none: it needs "name" and "images"`)
  return {
    name: text('name'),
    title: text('title'),
    description: text('description'),
    author: text('author'),
    fprocess: text('fprocess'),
    repo_url: text('repo_url'),
    readOnlyRootFilesystem: fields['readOnlyRootFilesystem'] === true,
    environment: texts(fields['environment']),
    labels: texts(fields['labels']),
    annotations: texts(fields['annotations']),
    images,
  }
}

function texts(value: unknown): Texts {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, String(one)]))
}
