import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { HostedApp, HostSettings, Rooms } from '../../src/cli/rooms-contract.ts'
import type { Leftover, TemplatePull, Toolbox } from '../../src/core/toolbox.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { FunctionSource } from '../../src/core/builder.ts'
import { FaasError } from '../../src/core/errors.ts'
import type { FunctionRef, FunctionStatus } from '../../src/core/function.ts'
import { Events } from '../../src/engine/events.ts'

/** Local operations without an engine; what was asked is kept. */
export interface FakeToolbox extends Toolbox {
  readonly built: FunctionSource[]
  readonly pushed: string[]
  /** What was asked for by `pullTemplates`. */
  readonly pulls: TemplatePull[]
  leftovers: Leftover[]
}

export function makeFakeToolbox(parts: Partial<Toolbox> = {}): FakeToolbox {
  const built: FunctionSource[] = []
  const pushed: string[] = []
  const pulls: TemplatePull[] = []
  const toolbox: FakeToolbox = {
    built,
    pushed,
    pulls,
    leftovers: [],
    builder: {
      build(source, { onOutput }) {
        built.push(source)
        onOutput?.('Step 1/1 : FROM scratch')
        if (source.name.includes('broken'))
          return Promise.reject(
            new FaasError('BUILD_FAILED', { message: 'npm install failed\nE404', remedy: 'Fix it.' }),
          )
        return Promise.resolve({
          image: source.image,
          imageId: 'sha256:1',
          contentHash: 'abc',
          cached: false,
        })
      },
      fingerprint: () => Promise.resolve({ content: 'abc', frame: 'abc' }),
      inputs: () => Promise.resolve([]),
    },
    shrinkwrap: () => Promise.resolve(),
    push(image) {
      pushed.push(image)
      return Promise.resolve()
    },
    listTemplates: () =>
      Promise.resolve([
        { lang: 'go-own', origin: 'project' },
        { lang: 'node22', language: 'Node.js', description: 'a JavaScript function', origin: 'built-in' },
      ]),
    pullTemplates(pull) {
      pulls.push(pull)
      return Promise.resolve({ repository: pull.source, written: [pull.as ?? pull.only ?? 'all'], kept: [] })
    },
    templateProcess: ({ lang }) => Promise.resolve(lang === 'node22' ? 'node index.js' : undefined),
    knownRepository: (lang) => (lang === 'golang-http' ? 'openfaas/golang-http-template' : undefined),
    async copyTemplate({ lang, to }) {
      if (lang !== 'node22')
        throw new FaasError('TEMPLATE_NOT_FOUND', {
          message: `no template ${lang}`,
          remedy: 'Did you mean node22?',
        })
      await mkdir(to, { recursive: true })
      await writeFile(join(to, 'handler.js'), 'module.exports = 1\n')
      return { files: ['handler.js'], welcome: 'Welcome.' }
    },
    gc: {
      list: () => Promise.resolve(toolbox.leftovers),
      remove: (gone) => {
        toolbox.leftovers = toolbox.leftovers.filter((one) => !gone.includes(one))
        return Promise.resolve()
      },
    },
    engine: () =>
      Promise.resolve({ address: 'unix:///run/test.sock', version: '20.10.1', architecture: 'amd64' }),
    doctor: () => Promise.resolve([]),
    setup: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    ...parts,
  }
  return toolbox
}

/** A platform without an engine, whose events the test makes. */
export interface FakeApp extends HostedApp {
  readonly events: Events
  readonly statuses: FunctionStatus[]
  readonly undeployed: { ref: FunctionRef }[]
  readonly stopped: boolean[]
  readonly rebuilt: (string | undefined)[]
  settings?: HostSettings
  settle(): void
}

export function makeFakeApp(url: string): FakeApp {
  const statuses: FunctionStatus[] = []
  const undeployed: { ref: FunctionRef }[] = []
  const stopped: boolean[] = []
  const rebuilt: (string | undefined)[] = []
  let settle = (): void => undefined
  const settled = new Promise<void>((resolve) => {
    settle = resolve
  })
  return {
    url,
    instance: 'test',
    dataDir: '/data',
    keepsFunctions: true,
    events: new Events(systemClock),
    statuses,
    undeployed,
    stopped,
    rebuilt,
    functions: { list: () => statuses, undeployed: () => undeployed },
    dev: { settled: () => settled, rebuild: (name) => void rebuilt.push(name) },
    settle: () => settle(),
    stop({ removeFunctions }) {
      stopped.push(removeFunctions)
      return Promise.resolve()
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

export function roomsOf({ toolbox, app }: { toolbox?: Toolbox; app?: FakeApp }): Partial<Rooms> {
  return {
    ...(toolbox ? { createToolbox: () => Promise.resolve(toolbox) } : {}),
    ...(app
      ? {
          createApp: (settings: HostSettings) => {
            app.settings = settings
            return Promise.resolve(app)
          },
        }
      : {}),
  }
}
