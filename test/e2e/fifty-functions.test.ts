import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeDocker } from '../support/docker.ts'
import { makeHelloProject } from '../support/hello-project.ts'
import type { HelloProject } from '../support/hello-project.ts'
import { startProgram } from '../support/program.ts'
import type { RunningProgram } from '../support/program.ts'
import { makeScratch, uniqueWord } from '../support/scratch.ts'
import {
  instanceOf,
  locksIn,
  processesOf,
  removeImages,
  removeTracesBelow,
  tracesOf,
} from '../support/traces.ts'

const NAMES = Array.from({ length: 50 }, (_, index) => `fn-${String(index + 1).padStart(2, '0')}`)
const LIMIT_MS = 240_000

describeDocker('fifty functions of one stack file', () => {
  let scratch: Awaited<ReturnType<typeof makeScratch>>
  let project: HelloProject
  let dev: RunningProgram
  let dataDir: string

  beforeAll(async () => {
    scratch = await makeScratch()
    dataDir = join(scratch.path, 'data')
    project = await makeHelloProject(
      scratch.path,
      'fifty',
      uniqueWord(),
      Object.fromEntries(NAMES.map((name) => [name, {}])),
    )
    dev = startProgram(['dev', '-f', project.stack, '--data', dataDir, '--port', '0', '--json'])
  })

  afterAll(async () => {
    await dev[Symbol.asyncDispose]()
    await removeTracesBelow(scratch.path)
    await removeImages([project.image])
    await scratch[Symbol.asyncDispose]()
  })

  test(
    'all get ready, are listed and answer, from one build; nothing is left after Ctrl-C',
    async () => {
      const done = await dev.event(({ type }) => type === 'start.done', { limitMs: LIMIT_MS })
      const url = String(done['url'])
      const instance = await instanceOf(dataDir)
      const builds = dev.events.filter(({ type }) => type === 'build.done')
      expect(builds).toHaveLength(50)
      expect(builds.filter(({ cached }) => cached === false).length).toBeLessThanOrEqual(1)
      expect(dev.events.filter(({ type }) => type.endsWith('.failed') || type === 'replica.died')).toEqual([])

      const listed = (await (await fetch(`${url}/system/functions`)).json()) as {
        name: string
        availableReplicas: number
      }[]
      expect(
        listed
          .filter(({ availableReplicas }) => availableReplicas === 1)
          .map(({ name }) => name)
          .sort(),
      ).toEqual(NAMES)
      const words = await Promise.all(
        NAMES.map(async (name) => {
          const answer = (await (await fetch(`${url}/function/${name}`)).json()) as { word: string }
          return answer.word
        }),
      )
      expect(words).toEqual(NAMES)
      expect((await tracesOf(instance)).containers).toHaveLength(50)

      dev.signalGroup('SIGINT')
      expect(await dev.end).toEqual({ code: 0, signal: null })
      expect(await tracesOf(instance)).toEqual({ containers: [], networks: [] })
      expect(processesOf(dev.pid, dataDir)).toEqual([])
      expect(locksIn(dataDir)).toEqual([])
    },
    LIMIT_MS + 60_000,
  )
})
