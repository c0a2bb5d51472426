import { describe, expect, test } from 'vitest'
import { silentLog } from '../core/log.ts'
import { makePlatform, specOf, steeredImage } from '../../test/support/platform.ts'
import { handleAlerts, replicasAfterAlert } from './alerts.ts'

const scale = (labels: Record<string, string | number>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(labels).map(([name, value]) => [`com.openfaas.scale.${name}`, String(value)]),
  )

describe('an alert', () => {
  test.each([
    [{ max: 10, factor: 50 }, 1, 'firing', 6],
    [{ max: 10, factor: 50 }, 6, 'firing', 10],
    [{ max: 10, factor: 50 }, 10, 'firing', 10],
    [{ max: 10, factor: 50 }, 6, 'resolved', 1],
    [{}, 1, 'firing', 5],
    [{}, 19, 'firing', 20],
    [{ min: 3 }, 20, 'resolved', 3],
    [{ max: 3, factor: 1 }, 1, 'firing', 2],
    [{ max: 10, factor: 100 }, 1, 'firing', 10],
    [{ max: 10, factor: 5000 }, 1, 'firing', 10],
    // More than the maximum was somebody's wish; the next decision is the autoscaler's.
    [{ max: 4 }, 9, 'firing', 4],
    [{ factor: 0 }, 4, 'firing', 4],
    [{ factor: 0 }, 4, 'resolved', 4],
    [{ min: 2, max: 2 }, 5, 'firing', 5],
    [{ min: 5, max: 3 }, 5, 'firing', 5],
    [{ max: 'many', factor: '', min: '-1' }, 1, 'firing', 5],
  ])('with %j at %d replicas, %s: %d', (labels, current, status, wanted) => {
    expect(
      replicasAfterAlert(specOf('x', 'image', { labels: scale(labels) }), current, status === 'firing'),
    ).toBe(wanted)
  })
})

test('alerts scale what they name, pass over what is not there, and say what failed', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const spec = specOf('busy', 'image', { labels: scale({ max: 10, factor: 50 }) })
  await platform.functions.deploy(spec).settled
  const handle = (isFiring: boolean, ...names: string[]): readonly string[] =>
    handleAlerts(
      { functions: platform.functions, log: silentLog },
      names.map((functionName) => ({ isFiring, functionName })),
    )
  expect(handle(true, 'nobody.openfaas-fn', '', 'busy.elsewhere', 'busy.openfaas-fn')).toEqual([])
  expect(platform.functions.get(spec)?.replicas).toBe(6)
  expect(handle(true, 'busy', 'busy')).toEqual([])
  expect(platform.functions.get(spec)?.replicas).toBe(10)
  // People are not bound by the labels; the next alert is.
  platform.functions.scale(spec, 15)
  expect(platform.functions.get(spec)?.replicas).toBe(15)
  expect(handle(true, 'busy')).toEqual([])
  expect(platform.functions.get(spec)?.replicas).toBe(10)
  expect(handle(false, 'busy')).toEqual([])
  expect(platform.functions.get(spec)?.replicas).toBe(1)
  // A wish that cannot be written down is said, and the next alert is still heard.
  const broken = {
    get: platform.functions.get.bind(platform.functions),
    scale: () => {
      throw new Error('disk full')
    },
  }
  expect(
    handleAlerts({ functions: broken, log: silentLog }, [
      { isFiring: true, functionName: 'busy' },
      { isFiring: true, functionName: 'nobody' },
    ]),
  ).toEqual(['busy.openfaas-fn: disk full'])
})
