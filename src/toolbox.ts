import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { baseImagesFor } from './builder/needed-bases.ts'
import { repositoryOf } from './builder/community-templates.ts'
import { pullTemplates } from './builder/pull-templates.ts'
import { shrinkwrap } from './builder/shrinkwrap.ts'
import { copyStarter } from './builder/starter.ts'
import { listTemplates, resolveTemplate } from './builder/template.ts'
import { dataDirOf, readConfig } from './config.ts'
import type { Builder } from './core/builder.ts'
import { FaasError } from './core/errors.ts'
import type { Leftover, Toolbox, ToolboxOptions } from './core/toolbox.ts'
import { engineFacts } from './docker/client.ts'
import { pushImage } from './docker/push.ts'
import { listLeftovers, removeLeftovers } from './docker/leftovers.ts'
import { readRegistryConfig } from './docker/registry-config.ts'
import { keptVolume } from './queue/nats-volume.ts'
import { imageBuilder, lazyEngine, natsFolder, TEMPLATES } from './rooms.ts'
import { dataDirState } from './registry/data-lock.ts'
import { forsakenDataDirs, removeForsaken } from './registry/project-note.ts'
import { doctorReport } from './setup/doctor.ts'
import { setup } from './setup/setup.ts'

/** Making one reaches nothing. */
export function createToolbox(options: ToolboxOptions): Promise<Toolbox> {
  const { env } = options
  const host = options.engine ?? env['FAASDOCK_ENGINE']
  const asked: { host?: string } = host === undefined || host === '' ? {} : { host }
  const config = readConfig({ env, cwd: process.cwd(), flags: {} })
  const docker = lazyEngine({ env, ...(asked.host !== undefined && { engine: asked.host }) })
  let builder: Promise<Builder> | undefined
  const getBuilder = (): Promise<Builder> =>
    (builder ??= docker().then((engine) => imageBuilder(config, engine)))

  return Promise.resolve({
    builder: {
      build: async (source, build) => (await getBuilder()).build(source, build),
      fingerprint: async (source, build) => (await getBuilder()).fingerprint(source, build),
      inputs: async (source) => (await getBuilder()).inputs(source),
    },
    shrinkwrap: (source, target) => shrinkwrap(source, target, { builtIn: TEMPLATES, env }),
    push: async (image, onOutput, signal) =>
      pushImage((await docker()).engine, image, await readRegistryConfig(env), onOutput, signal),
    listTemplates: async (root) =>
      (await listTemplates(root, TEMPLATES)).map(({ lang, language, description, origin }) => ({
        lang,
        ...(language !== undefined && { language }),
        ...(description !== undefined && { description }),
        origin,
      })),
    pullTemplates: (pull, signal) => pullTemplates(pull, env, signal),
    templateProcess: async (source) =>
      (await resolveTemplate(source, TEMPLATES).catch(ignoreMissingTemplate))?.fprocess,
    knownRepository: (lang) => repositoryOf(lang),
    copyTemplate: (starter) => copyStarter(starter, TEMPLATES),
    gc: {
      list: async () => [
        ...(await listLeftovers((await docker()).engine, {
          stateOf: ({ dataDir, host: owner }) => (owner === hostname() ? dataDirState(dataDir) : 'elsewhere'),
          keepsQueue: ({ dataDir, host: owner }, volume) =>
            owner !== hostname() || keptVolume(natsFolder(dataDir)) === volume,
        })),
        ...leftFolders(),
      ],
      remove: async (leftovers) => {
        await removeLeftovers((await docker()).engine, leftovers)
        for (const { kind, id } of leftovers) if (kind === 'folder') removeForsaken(id, usualDataDir)
      },
    },
    engine: async () => {
      const { engine, address } = await docker()
      const { version, architecture } = await engineFacts(engine)
      return { address, version, architecture }
    },
    doctor: () =>
      doctorReport({
        env,
        ...asked,
        dataDir: config.dataDir,
        listen: config.host,
        port: config.port,
        natsImage: config.natsImage,
      }),
    setup: async (sources, onOutput) => {
      const images = await baseImagesFor(sources, TEMPLATES)
      const report = await setup({
        env,
        ...asked,
        images: [...images, config.relayImage],
        natsImage: config.natsImage,
        announce: onOutput,
      })
      for (const { image, state, detail } of report.images)
        if (state === 'missing')
          onOutput(`${image} is not on the engine and could not be had: ${detail ?? 'unknown'}`)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  })
}

/** Data folders of `dev` whose projects were deleted. */
function leftFolders(): Leftover[] {
  const all = dirname(usualDataDir('/project/stack.yml'))
  return forsakenDataDirs(all, usualDataDir).map(({ dataDir, project }) => ({
    kind: 'folder',
    id: dataDir,
    name: dataDir,
    reason: `its project ${project} is gone`,
  }))
}

function usualDataDir(stackFile: string): string {
  return dataDirOf('/', stackFile, undefined)
}

/** A machine that only deploys need not have the templates: the image knows its process. */
function ignoreMissingTemplate(error: unknown): undefined {
  if (!(error instanceof FaasError && error.code === 'TEMPLATE_NOT_FOUND')) throw error
}
