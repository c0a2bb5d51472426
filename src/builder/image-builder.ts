import { setMaxListeners } from 'node:events'
import { resolve } from 'node:path'
import type { Builder, BuildOptions, BuildResult, FunctionSource } from '../core/builder.ts'
import type { Engine } from '../docker/client.ts'
import { findImage, findLabelledImage, removeSuperseded, tagImage } from '../docker/images.ts'
import { LABEL } from '../docker/labels.ts'
import { readRegistryConfig } from '../docker/registry-config.ts'
import type { RegistryConfig } from '../docker/registry-config.ts'
import { makeMethodChooser } from './build-method.ts'
import type { BuilderChoice } from './build-method.ts'
import { atDockerfile } from './dockerfile-place.ts'
import { tarContext } from './context-tar.ts'
import { insideRoot } from './context.ts'
import { makePlanner } from './plan.ts'
import type { BuildPlan } from './plan.ts'
import { makePlaces } from './source-places.ts'
import { isDockerfileLang, projectTemplateFolder, resolveTemplate } from './template.ts'
import { Flights, makeTurns } from './turns.ts'

/** On every image we build: the hash of what it was built from. How an image of the same content is found again. */
const CONTENT_LABEL = 'com.faasdock.content'

/** Builds at once. They are bound by CPU and network, and the functions that run need some of both. */
const BUILDS_AT_ONCE = 2
/** Superseded images of a function that stay, so that an undone edit needs no build. */
const KEEP_SUPERSEDED = 2

export interface ImageBuilderOptions {
  readonly engine: Engine
  /** Folder of the shipped templates. */
  readonly templates: string
  /** The engine as DOCKER_HOST writes it, for the Docker client that BuildKit needs. Undefined: the client's own choice. */
  readonly engineAddress?: string
  readonly builder?: BuilderChoice
  /** Where proxies, PATH and Docker's own variables are. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Builds at once. */
  readonly concurrency?: number
  /** How many superseded images of a function stay; older ones that nothing uses go after its next build. */
  readonly keepSuperseded?: number
  /** Labels for every image. */
  readonly labels?: Readonly<Record<string, string>>
  /** Sign-ins for private base images; by default those that stand in the Docker config file. */
  readonly registryConfig?: () => Promise<RegistryConfig>
}

type Tell = (line: string) => void

/** A Builder that makes images on a Docker engine, and none that is there already. */
export function createImageBuilder(given: ImageBuilderOptions): Builder {
  const { engine, templates, env, engineAddress } = given
  const registryConfig = given.registryConfig ?? (() => readRegistryConfig(env))
  const choice = given.builder ?? 'auto'
  const chooseMethod = makeMethodChooser({ engine, engineAddress, env, choice, registryConfig })
  const { plan, fingerprint } = makePlanner({ engine, templates, env, chooseMethod, registryConfig })
  const takeTurn = makeTurns(given.concurrency ?? BUILDS_AT_ONCE)
  const flights = new Flights<string>()
  let sweeping: Promise<void> = Promise.resolve()

  async function build(source: FunctionSource, options: BuildOptions): Promise<BuildResult> {
    const { signal } = options
    signal.throwIfAborted()
    // One signal may stop fifty builds, and each of them listens: that is no leak to be warned of.
    setMaxListeners(0, signal)
    const onOutput = tidied(options.onOutput ?? (() => undefined))
    const planned = await plan(source, options, onOutput)
    const { content: contentHash, code } = planned.fingerprint
    let [cached, mine] = [true, false]
    const imageId = await flights.join(
      // The same content under two names is one build; `noCache` wants its own.
      options.noCache === true ? `${contentHash} ${source.image} anew` : contentHash,
      async () => {
        mine = true
        const present = options.noCache === true ? undefined : await findContent(source.image, contentHash)
        if (present !== undefined) return present
        cached = false
        return takeTurn(() => buildImage(source, options, planned, onOutput), signal)
      },
      signal,
    )
    // Who waited for another function's build has the image, but not yet under its own name.
    if (!mine) await tagImage(engine, imageId, source.image)
    // Nobody waits for it: removing an image takes the engine as long as starting a container.
    sweeping = sweeping.then(() => sweep(source.name, onOutput))
    return { image: source.image, imageId, contentHash, ...(code && { codeHash: code.hash }), cached }
  }

  /** An image of that content: the named one when it is, else any. */
  async function findContent(name: string, hash: string): Promise<string | undefined> {
    const named = await findImage(engine, name)
    if (named?.labels[CONTENT_LABEL] === hash) return named.id
    const other = await findLabelledImage(engine, { [CONTENT_LABEL]: hash })
    // Removed by somebody in this very moment: then it has to be built.
    return other && (await tagImage(engine, other.id, name)) ? other.id : undefined
  }

  /** The build has succeeded: that an old image stays for now is no reason to say otherwise. */
  async function sweep(name: string, onOutput: Tell): Promise<void> {
    try {
      await removeSuperseded(engine, { [LABEL.function]: name }, given.keepSuperseded ?? KEEP_SUPERSEDED)
    } catch (error) {
      onOutput(`warning: ${(error as Error).message}`)
    }
  }

  async function buildImage(
    source: FunctionSource,
    options: BuildOptions,
    planned: BuildPlan,
    onOutput: Tell,
  ): Promise<string> {
    const { method, entries, fileHashes, buildArgs, secrets, mountSsh, fingerprint: print } = planned
    const place = makePlaces(source)
    const building = method.build({
      name: source.name,
      tag: source.image,
      context: () => tarContext(entries, fileHashes),
      buildArgs,
      labels: {
        ...given.labels,
        ...options.labels,
        [LABEL.function]: source.name,
        [CONTENT_LABEL]: print.content,
      },
      noCache: options.noCache ?? false,
      secrets,
      mountSsh,
      signal: options.signal,
      onOutput: (line) => onOutput(place(line)),
      place,
    })
    return building.catch((error: unknown) => {
      throw atDockerfile(error, planned.dockerfile, source.root)
    })
  }

  return {
    build,
    fingerprint: (source, options) => fingerprint(source, options, options.onOutput ?? (() => undefined)),
    inputs: (source) => inputsOf(source, templates),
  }
}

async function inputsOf(source: FunctionSource, templates: string): Promise<readonly string[]> {
  const copies = source.copy.map((path) => resolve(source.root, insideRoot(path, source)))
  // The project's own template may appear later, and then wins.
  const own = isDockerfileLang(source.lang) ? [] : [projectTemplateFolder(source.root, source.lang)]
  const used = await resolveTemplate(source, templates).then(
    ({ folder }) => (folder === undefined ? [] : [folder]),
    () => [],
  )
  return [...new Set([source.handler, ...own, ...used, ...copies])]
}

/** The classic builder warns of arguments that a Dockerfile does not use; ADDITIONAL_PACKAGE is always given by us. */
function tidied(tell: Tell): Tell {
  return (line) => {
    const unused = /^\[Warning\] One or more build-args \[(.*)\] were not consumed$/.exec(line)?.[1]
    if (unused === undefined) {
      tell(line)
      return
    }
    const theirs = unused.split(' ').filter((name) => name !== 'ADDITIONAL_PACKAGE')
    if (theirs.length > 0)
      tell(`warning: the Dockerfile does not use the build arguments ${theirs.join(', ')}`)
  }
}
