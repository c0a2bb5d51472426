import { describe, expect, test, vi } from 'vitest'
import { makePlatform, soon, specOf, steeredImage } from '../../test/support/platform.ts'
import type { TestPlatform } from '../../test/support/platform.ts'
import { Namespaces } from './namespaces.ts'

const marked = { labels: { openfaas: '1' }, annotations: {} }

function over(platform: TestPlatform): Namespaces {
  return new Namespaces({ registry: platform.registry, functions: platform.functions })
}

describe('namespaces', () => {
  test('are listed with the default, and outlive the platform that made them', async () => {
    await using platform = await makePlatform({ image: steeredImage() })
    over(platform).create({ name: 'dev', ...marked })
    expect(over(platform).list()).toEqual(['dev', 'openfaas-fn'])
    await using again = await makePlatform({}, { folder: platform.folder, provider: platform.provider })
    expect(over(again).get('dev')).toEqual({ name: 'dev', ...marked })
  })

  test('are removed last: what fails before that leaves one that can be removed again', async () => {
    await using platform = await makePlatform({ image: steeredImage() })
    const { registry } = platform
    const namespaces = over(platform)
    namespaces.create({ name: 'dev', ...marked })
    registry.secrets.put('dev', 'key', Buffer.from('x'))
    await platform.functions.deploy(specOf('hello', 'image', { namespace: 'dev' })).settled
    const failing = vi.spyOn(registry.secrets, 'delete').mockImplementationOnce(() => {
      throw new Error('the disk says no')
    })
    expect(() => namespaces.remove('dev')).toThrow('the disk says no')
    failing.mockRestore()
    expect(namespaces.list()).toContain('dev')
    namespaces.remove('dev')
    expect(namespaces.list()).not.toContain('dev')
    expect(registry.secrets.list('dev')).toEqual([])
  })

  test.each([
    [{ labels: { openfaas: 'true' }, annotations: {} }],
    [{ labels: {}, annotations: { openfaas: '1' } }],
    [{ labels: { openfaas: '0' }, annotations: { openfaas: 'true' } }],
  ])('%j marks one', async (marks) => {
    await using platform = await makePlatform({})
    over(platform).create({ name: 'dev', ...marks })
    expect(over(platform).get('dev')).toEqual({ name: 'dev', ...marks })
  })

  test.each([
    [
      'without the mark',
      { name: 'dev', labels: { team: 'a' }, annotations: {} },
      'BAD_REQUEST',
      /labels\.openfaas/,
    ],
    ['marked otherwise', { name: 'dev', labels: { openfaas: 'yes' }, annotations: {} }, 'BAD_REQUEST', /"1"/],
    ['with a dot', { name: 'a.b', ...marked }, 'BAD_NAME', /a\.b/],
    ['with a way up', { name: '../up', ...marked }, 'BAD_NAME', /\.\.\/up/],
    ['that is there', { name: 'openfaas-fn', ...marked }, 'NAMESPACE_EXISTS', /exists already/],
  ] as const)('one %s is refused', async (_what, namespace, code, message) => {
    await using platform = await makePlatform({})
    expect(() => over(platform).create(namespace)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }),
    )
    expect(over(platform).list()).toEqual(['openfaas-fn'])
  })

  test('an update replaces everything, and may not take the mark away', async () => {
    await using platform = await makePlatform({})
    const namespaces = over(platform)
    namespaces.create({ name: 'dev', labels: { openfaas: '1', team: 'a' }, annotations: { x: 'y' } })
    namespaces.update({ name: 'dev', ...marked })
    expect(namespaces.get('dev')).toEqual({ name: 'dev', ...marked })
    expect(() => namespaces.update({ name: 'dev', labels: {}, annotations: {} })).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST' }),
    )
    expect(() => namespaces.update({ name: 'nobody', ...marked })).toThrow(
      expect.objectContaining({ code: 'NAMESPACE_NOT_FOUND' }),
    )
    expect(namespaces.get('dev')).toEqual({ name: 'dev', ...marked })
  })

  test('one that goes takes its functions and secrets along, and nobody else’s', async () => {
    await using platform = await makePlatform({ image: steeredImage() })
    const namespaces = over(platform)
    namespaces.create({ name: 'dev', ...marked })
    const mine = specOf('mine', 'image', { namespace: 'dev' })
    const other = specOf('mine', 'image')
    await Promise.all([platform.functions.deploy(mine).settled, platform.functions.deploy(other).settled])
    platform.registry.secrets.put('dev', 'key', Buffer.from('dev'))
    platform.registry.secrets.put('openfaas-fn', 'key', Buffer.from('kept'))
    namespaces.remove('dev')
    expect(namespaces.list()).toEqual(['openfaas-fn'])
    expect(platform.functions.list().map(({ spec }) => spec)).toEqual([other])
    expect(platform.of('function.removed')).toHaveLength(1)
    await soon(() => !platform.provider.actual(mine)?.replicas, 'the replica going')
    expect(platform.provider.actual(other)?.available).toBe(1)
    expect(platform.registry.secrets.list('openfaas-fn')).toEqual(['key'])
    // One of the same name begins empty.
    namespaces.create({ name: 'dev', ...marked })
    expect(platform.registry.secrets.list('dev')).toEqual([])
    expect(() => platform.functions.deploy({ ...mine, secrets: ['key'] })).toThrow(
      expect.objectContaining({ code: 'SECRET_NOT_FOUND' }),
    )
  })

  test('the default one stays', async () => {
    await using platform = await makePlatform({})
    expect(() => over(platform).remove('openfaas-fn')).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST' }),
    )
    expect(() => over(platform).remove('nobody')).toThrow(
      expect.objectContaining({ code: 'NAMESPACE_NOT_FOUND' }),
    )
    over(platform).update({ name: 'openfaas-fn', labels: { team: 'a' }, annotations: {} })
    expect(over(platform).get('openfaas-fn').labels).toEqual({ team: 'a' })
  })
})
