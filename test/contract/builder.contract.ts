import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Builder, BuildOptions, FunctionSource } from '../../src/core/builder.ts'
import type { TestFolder } from '../support/folder.ts'
import { makeFolder } from '../support/folder.ts'

/** What a builder is tried with. */
export interface BuilderUnderTest {
  readonly builder: Builder
  /** An image that the engine has and that has a shell; no registry is asked for it. */
  readonly base: string
  /** Begins every image's name, and is this run's own. */
  readonly prefix: string
  /** Lines for every Dockerfile after its FROM, so that what a build leaves can be found and removed. */
  readonly marks: string
  /** The id of the image behind a name, and its labels. */
  readonly inspect: (
    image: string,
  ) => Promise<{ readonly id: string; readonly labels: Readonly<Record<string, string>> } | undefined>
}

let counter = 0

/** A project with one function `hello` of a template that copies its handler and runs nothing. */
export async function makeProject(
  given: Pick<BuilderUnderTest, 'base' | 'prefix' | 'marks'>,
  dockerfile = 'COPY function /function',
): Promise<{ readonly folder: TestFolder; readonly source: FunctionSource }> {
  const nonce = `${Date.now()}-${++counter}`
  const folder = await makeFolder({
    'template/test/Dockerfile': `FROM ${given.base}\n${given.marks}\n${dockerfile}\n`,
    // Content of its own, so that no earlier run's image is found.
    'hello/handler.txt': `first ${nonce}`,
  })
  const source: FunctionSource = {
    name: `hello-${counter}`,
    lang: 'test',
    handler: join(folder.path, 'hello'),
    image: `${given.prefix}hello-${counter}:latest`,
    root: folder.path,
    buildArgs: {},
    buildOptions: [],
    buildSecrets: {},
    copy: [],
  }
  return { folder, source }
}

const options = (more: Partial<BuildOptions> = {}): BuildOptions => ({
  signal: new AbortController().signal,
  ...more,
})

/** What src/core/builder.ts promises, for any builder. */
export function builderContract(make: () => BuilderUnderTest): void {
  describe('a build', () => {
    test('makes an image of the stack file’s name, with the labels asked for', async () => {
      const { builder, inspect, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      const result = await builder.build(source, options({ labels: { 'com.example.asked': 'for' } }))
      expect(result).toMatchObject({ image: source.image, cached: false })
      expect(result.contentHash).toMatch(/^[0-9a-f]{64}$/)
      const image = await inspect(source.image)
      expect(image?.id).toBe(result.imageId)
      expect(image?.labels['com.example.asked']).toBe('for')
    })

    test('of the same content builds nothing', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      const first = await builder.build(source, options())
      const lines: string[] = []
      const second = await builder.build(source, options({ onOutput: (line) => lines.push(line) }))
      expect(second).toEqual({ ...first, cached: true })
      expect(lines).toEqual([])
    })

    test('of an edited handler makes another image under the same name', async () => {
      const { builder, inspect, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      const first = await builder.build(source, options())
      await folder.write({ 'hello/handler.txt': `second ${source.image} ${Date.now()}` })
      const second = await builder.build(source, options())
      expect(second.cached).toBe(false)
      expect(second.contentHash).not.toBe(first.contentHash)
      expect((await inspect(source.image))?.id).toBe(second.imageId)
    })

    test('of an undone edit finds the former image', async () => {
      const { builder, inspect, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      const nonce = `${source.image} ${Date.now()}`
      await folder.write({ 'hello/handler.txt': `A ${nonce}` })
      const before = await builder.build(source, options())
      await folder.write({ 'hello/handler.txt': `B ${nonce}` })
      await builder.build(source, options())
      await folder.write({ 'hello/handler.txt': `A ${nonce}` })
      const after = await builder.build(source, options())
      expect(after).toEqual({ ...before, cached: true })
      expect((await inspect(source.image))?.id).toBe(before.imageId)
    })

    test('of the same content under two names at once builds once', async () => {
      const { builder, inspect, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      const twin = { ...source, name: `${source.name}-twin`, image: source.image.replace(':', '-twin:') }
      const results = await Promise.all([source, twin].map((one) => builder.build(one, options())))
      expect(results.map(({ cached }) => cached).sort()).toEqual([false, true])
      expect(new Set(results.map(({ imageId }) => imageId)).size).toBe(1)
      expect((await inspect(twin.image))?.id).toBe((await inspect(source.image))?.id)
    })

    test('tells its output line by line', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject(
        given,
        'COPY function /function\nRUN echo one; echo two >&2',
      )
      await using _ = folder
      const lines: string[] = []
      await builder.build(source, options({ onOutput: (line) => lines.push(line) }))
      expect(lines).toEqual(
        expect.arrayContaining(['one', 'two', expect.stringMatching(/^Step .* : RUN echo one/)]),
      )
      expect(lines.filter((line) => line.includes('\n') || line.includes('\u001b'))).toEqual([])
    })

    test('with noCache builds although the image is there', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject(given, 'COPY function /function\nRUN date +%N > /when')
      await using _ = folder
      const first = await builder.build(source, options())
      const second = await builder.build(source, options({ noCache: true }))
      expect(second).toMatchObject({ cached: false, contentHash: first.contentHash })
      expect(second.imageId).not.toBe(first.imageId)
    })

    test('gives the build arguments of the stack file to the Dockerfile', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject(
        given,
        'ARG GREETING\nARG ADDITIONAL_PACKAGE=none\nCOPY function /function\nRUN echo "said $GREETING, <$ADDITIONAL_PACKAGE>"',
      )
      await using _ = folder
      const lines: string[] = []
      const greeted = { ...source, buildArgs: { GREETING: 'good morning' } }
      await builder.build(greeted, options({ onOutput: (line) => lines.push(line) }))
      expect(lines).toContain('said good morning, <>')
    })
  })

  describe('a build that fails', () => {
    test('says what is wrong, its last lines, the step and its exit code, and leaves the name where it was', async () => {
      const { builder, inspect, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      const before = await builder.build(source, options())
      await folder.write({
        'template/test/Dockerfile': `FROM ${given.base}\n${given.marks}\nCOPY function /f\nRUN echo building; echo cannot find x >&2; exit 3\nRUN true\n`,
      })
      const error = await builder.build(source, options()).catch((caught: unknown) => caught)
      expect(error).toMatchObject({ code: 'BUILD_FAILED' })
      const [first, ...rest] = (error as Error).message.split('\n')
      expect(first).toBe(`${source.name}: cannot find x`)
      expect(rest.pop()).toMatch(/^Step .*RUN echo building.* ended with exit code 3$/)
      expect(rest.sort()).toEqual(['building', 'cannot find x'])
      expect((await inspect(source.image))?.id).toBe(before.imageId)
    })

    test('can be repaired', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject(given, 'COPY function /f\nRUN test -f /f/needed')
      await using _ = folder
      await expect(builder.build(source, options())).rejects.toMatchObject({ code: 'BUILD_FAILED' })
      await folder.write({ 'hello/needed': '' })
      expect(await builder.build(source, options())).toMatchObject({ cached: false })
    })

    test('for a base image that nobody has says which', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject({ ...given, base: 'localhost:1/nobody/has-this:1' })
      await using _ = folder
      await expect(builder.build(source, options())).rejects.toMatchObject({
        code: 'BUILD_FAILED',
        message: expect.stringContaining('localhost:1/nobody/has-this:1') as string,
      })
    })

    test('for a Dockerfile that cannot be read says so', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject(given, 'RUNN x')
      await using _ = folder
      await expect(builder.build(source, options())).rejects.toMatchObject({
        code: 'BUILD_FAILED',
        message: expect.stringMatching(/unknown instruction: RUNN/) as string,
        remedy: expect.stringContaining('Dockerfile') as string,
      })
    })

    test('for a missing template or handler says which', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      await expect(builder.build({ ...source, lang: 'tset' }, options())).rejects.toMatchObject({
        code: 'TEMPLATE_NOT_FOUND',
        remedy: expect.stringContaining('Did you mean test?') as string,
      })
      await rm(source.handler, { recursive: true })
      await expect(builder.build(source, options())).rejects.toMatchObject({ code: 'HANDLER_NOT_FOUND' })
    })

    test('for a missing Dockerfile says where it should be', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      await expect(builder.build({ ...source, lang: 'dockerfile' }, options())).rejects.toMatchObject({
        code: 'BUILD_FAILED',
        message: `${source.name}: there is no Dockerfile in ${source.handler}`,
      })
    })
  })

  describe('a build that is aborted', () => {
    test('before it begins rejects with the reason and builds nothing', async () => {
      const { builder, inspect, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      await expect(
        builder.build(source, options({ signal: AbortSignal.abort(new Error('saved again')) })),
      ).rejects.toThrow('saved again')
      expect(await inspect(source.image)).toBeUndefined()
    })

    test('in the middle rejects with the reason, promptly, and the next build works', async () => {
      const { builder, inspect, ...given } = make()
      const { folder, source } = await makeProject(
        given,
        'COPY function /f\nRUN echo begun; test -f /f/quick || sleep 60',
      )
      await using _ = folder
      const abort = new AbortController()
      let abortedAt = 0
      const onOutput = (line: string): void => {
        if (line !== 'begun') return
        abortedAt = Date.now()
        abort.abort(new Error('saved again'))
      }
      await expect(builder.build(source, options({ signal: abort.signal, onOutput }))).rejects.toThrow(
        'saved again',
      )
      expect(Date.now() - abortedAt).toBeLessThan(5000)
      expect(await inspect(source.image)).toBeUndefined()
      await folder.write({ 'hello/quick': '' })
      expect(await builder.build(source, options())).toMatchObject({ cached: false })
    })
  })

  describe('the inputs of a function', () => {
    test('are its handler, its template and its copies, also those that do not exist yet', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      const inputs = await builder.inputs({ ...source, copy: ['shared/lib'] })
      expect(inputs).toEqual([
        source.handler,
        join(folder.path, 'template/test'),
        join(folder.path, 'shared/lib'),
      ])
    })

    test('include the place where a missing template would be', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      const inputs = await builder.inputs({ ...source, lang: 'later' })
      expect(inputs).toEqual([source.handler, join(folder.path, 'template/later')])
    })

    test('of lang dockerfile are the handler alone', async () => {
      const { builder, ...given } = make()
      const { folder, source } = await makeProject(given)
      await using _ = folder
      expect(await builder.inputs({ ...source, lang: 'dockerfile' })).toEqual([source.handler])
    })
  })
}
