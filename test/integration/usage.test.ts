import type Dockerode from 'dockerode'
import { expect, test } from 'vitest'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { removeContainer } from '../../src/docker/containers.ts'
import { UsageMeter } from '../../src/docker/usage.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { until } from '../support/until.ts'

const IMAGE = 'node:20-alpine'

/** A container that always has something to do, and may use half a core for it. */
async function busyContainer(engine: Engine): Promise<{ id: string } & AsyncDisposable> {
  const container = await engine.createContainer({
    Image: IMAGE,
    Cmd: ['node', '-e', 'for (;;) {}'],
    Labels: { 'com.faasdock.test': '1' },
    HostConfig: { NanoCpus: 5e8 },
  })
  await container.start()
  return { id: container.id, [Symbol.asyncDispose]: () => removeContainer(engine, container.id) }
}

/** The engine as one of another machine: its process ids are not ours. */
function elsewhere(engine: Engine): Engine {
  const strange = (container: Dockerode.Container): unknown =>
    new Proxy(container, {
      get: (target, name) =>
        name === 'inspect'
          ? () => Promise.resolve({ State: { Pid: process.pid } })
          : (Reflect.get(target, name) as () => unknown).bind(target),
    })
  return new Proxy(engine, {
    get: (target, name) =>
      name === 'getContainer'
        ? (id: string) => strange(target.getContainer(id))
        : (Reflect.get(target, name) as unknown),
  })
}

describeDocker('the use of containers', () => {
  test.each([
    ['the kernel’s counters', (engine: Engine) => engine, 5000],
    ['the engine’s', elsewhere, 10_000],
  ])('is measured by %s, soon', async (_what, view, limitMs) => {
    const engine = makeEngine(dockerAddress())
    await using container = await busyContainer(engine)
    const meter = new UsageMeter(view(engine))
    const ids = [container.id, 'of-one-that-is-gone']
    // While it starts it does less, and where others are busy too.
    const { cpuMillis, memoryBytes } = await until(async () => {
      const used = await meter.measure(ids)
      return used.cpuMillis > 100 && used
    })
    expect(cpuMillis).toBeLessThan(700)
    expect(memoryBytes).toBeGreaterThan(2 ** 20)
    const again = performance.now()
    await new UsageMeter(view(engine)).measure(ids)
    expect(performance.now() - again).toBeLessThan(limitMs)
  })

  test('of a container that was begun with needs no second look', async () => {
    const engine = makeEngine(dockerAddress())
    await using container = await busyContainer(engine)
    const meter = new UsageMeter(engine)
    meter.begin(container.id)
    // Whoever asks is told what it used since: once that is a tenth of a core, it was not measured in this moment.
    await until(async () => (await meter.measure([container.id])).cpuMillis > 100)
    meter.forget(container.id)
    await container[Symbol.asyncDispose]()
    expect(await meter.measure([container.id])).toEqual({ cpuMillis: 0, memoryBytes: 0 })
  })

  test('is nothing for containers that are gone', async () => {
    expect(await new UsageMeter(makeEngine(dockerAddress())).measure(['gone'])).toEqual({
      cpuMillis: 0,
      memoryBytes: 0,
    })
  })
})
