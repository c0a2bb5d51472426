import { expect, test } from 'vitest'
import { makePlatform, soon, specOf, steeredImage } from '../../test/support/platform.ts'
import { FaasError } from '../core/errors.ts'
import { noteFailures } from './failure-notes.ts'

const never = new AbortController().signal

test('why a function fails, and how its replicas die, stands in its log as lines of faasdock', async () => {
  const image = steeredImage()
  await using platform = await makePlatform({ hello: image })
  using _notes = noteFailures(platform.events, platform.provider)
  const ref = { name: 'a', namespace: 'openfaas-fn' }
  const said = async (): Promise<string[]> => {
    const lines: string[] = []
    const query = { ref, instance: 'faasdock', follow: false }
    for await (const { text } of platform.provider.logs(query, never)) lines.push(text)
    return lines
  }
  await platform.functions.deploy(specOf('a', 'hello')).settled
  expect(await said()).toEqual([])
  image.be(
    new FaasError('IMAGE_NOT_FOUND', { message: 'the image x could not be pulled', remedy: 'Build it.' }),
  )
  await platform.functions.update(specOf('a', 'hello')).settled.catch(() => undefined)
  expect(await said()).toEqual([
    'the image x could not be pulled',
    '→ Build it.',
    'Revision rev-1 goes on answering.',
  ])
  await platform.crash(ref)
  await soon(() => platform.of('replica.died').length > 0)
  expect((await said()).at(-1)).toMatch(/^replica memory-\d+ crashed$/)
})
