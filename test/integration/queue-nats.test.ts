import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { Objm } from '@nats-io/obj'
import { connect } from '@nats-io/transport-node'
import { afterAll, describe, expect, test } from 'vitest'
import type { FaasError } from '../../src/core/errors.ts'
import type { Delivery, NewMessage } from '../../src/core/queue.ts'
import { silentLog } from '../../src/core/log.ts'
import { NatsQueue } from '../../src/queue/nats-queue.ts'
import type { NatsSource } from '../../src/queue/nats-source.ts'
import { findNatsServer, natsServer } from '../../src/queue/nats-server.ts'
import { externalSource } from '../../src/queue/nats-source.ts'
import { identify } from '../../src/queue/process-identity.ts'
import { until, untilPasses } from '../support/until.ts'
import { queueContract } from '../contract/queue.contract.ts'
import { makeFolder } from '../support/folder.ts'

const program = findNatsServer(process.env) ?? ''

let count = 0

/** A server with a folder of its own, and queues on it. */
async function useServer(more: { ackWaitMs?: number } = {}) {
  const folder = await makeFolder()
  const server = natsServer({ folder: join(folder.path, 'nats'), program, log: silentLog })
  // Closing a queue closes its source; this one is shared.
  const borrowed: NatsSource = {
    description: 'a server',
    address: (signal) => server.address(signal),
    explain: (error) => server.explain(error),
    distrust: (reason) => server.distrust(reason),
    shortage: () => server.shortage(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const queues: NatsQueue[] = []
  const open = (instance: string): NatsQueue => {
    const queue = new NatsQueue({ source: borrowed, instance, dedupeMs: 120_000, log: silentLog, ...more })
    queues.push(queue)
    return queue
  }
  return {
    folder: folder.path,
    server,
    open,
    [Symbol.asyncDispose]: async () => {
      for (const queue of queues) await queue[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

const shared = await useServer()
afterAll(() => shared[Symbol.asyncDispose]())

queueContract('a queue in NATS', () => {
  const instance = `contract${++count}`
  const queue = shared.open(instance)
  return Promise.resolve({
    queue,
    // Whoever is killed says nothing; what it has taken stays taken until the next one looks.
    crash: () => Promise.resolve(shared.open(instance)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  })
})

describe('a NATS server of our own', () => {
  const message = (id: string, size = 10): NewMessage => ({
    lane: 'call.test.fn',
    id,
    head: JSON.stringify({ id }),
    body: Buffer.alloc(size, 'x'),
  })
  const pidOf = (folder: string): number =>
    (JSON.parse(readFileSync(join(folder, 'server.json'), 'utf8')) as { pid: number }).pid

  test('is up within half a second, for nobody who does not know its token', async () => {
    await using folder = await makeFolder()
    const began = performance.now()
    await using server = natsServer({ folder: join(folder.path, 'nats'), program, log: silentLog })
    const { servers, token } = await server.address(AbortSignal.timeout(5000))
    expect(performance.now() - began).toBeLessThan(isBusy() ? 5000 : 500)
    expect(servers[0]).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(token).toHaveLength(32)
    await expect(connect({ servers: [...servers], reconnect: false })).rejects.toThrow(/auth/i)
    expect(statSync(join(folder.path, 'nats/nats.conf')).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder.path, 'nats')).mode & 0o777).toBe(0o700)
  })

  test('is started again when it is killed; what was accepted is there, and publishers notice nothing', async () => {
    await using given = await useServer()
    const queue = given.open('killed')
    for (let i = 0; i < 20; i++) await queue.publish(message(`before-${i}`))
    const pid = pidOf(join(given.folder, 'nats'))
    process.kill(pid, 'SIGKILL')
    for (let i = 0; i < 20; i++) await queue.publish(message(`after-${i}`))
    await until(() => queue.problem === undefined && pidOf(join(given.folder, 'nats')) !== pid)
    const { deliveries } = await queue.take('call.test.fn', 100)
    expect(deliveries.map(({ head }) => (JSON.parse(head) as { id: string }).id)).toEqual([
      ...Array.from({ length: 20 }, (_, i) => `before-${i}`),
      ...Array.from({ length: 20 }, (_, i) => `after-${i}`),
    ])
    for (const delivery of deliveries) delivery.ack()
  })

  test('that is killed while a body is stored is unavailable; what breaks off says why itself', async () => {
    await using given = await useServer()
    const queue = given.open('storing')
    await queue.publish(message('one'))
    const store = (end: () => void) =>
      queue.bodies.put(
        'call/large',
        (async function* () {
          for (let i = 0; i < 8; i++) {
            if (i === 4) end()
            yield await Promise.resolve(Buffer.alloc(600_000))
          }
        })(),
      )
    const kill = (): void => void process.kill(pidOf(join(given.folder, 'nats')), 'SIGKILL')
    await expect(store(kill)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
    await until(() => store(() => undefined).catch(() => undefined))
    const broken = (): void => {
      throw new Error('the caller went away')
    }
    await expect(store(broken)).rejects.toThrow('the caller went away')
  })

  test('that is killed when it is asked is unavailable, and nothing else', async () => {
    await using given = await useServer()
    const queue = given.open('asked')
    await queue.publish(message('one'))
    process.kill(pidOf(join(given.folder, 'nats')), 'SIGKILL')
    // The connection looks whole still.
    const asked = [queue.depths(), queue.newest(), queue.remove(9), queue.purge('call.test.other', 9)]
    for (const answer of await Promise.allSettled(asked))
      if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
    await until(async () => (await queue.depths().catch(() => undefined))?.get('call.test.fn') === 1)
  })

  test('messages that are being worked at when it is killed are not taken twice, and are gone when done', async () => {
    await using given = await useServer()
    const queue = given.open('working')
    for (let i = 0; i < 10; i++) await queue.publish(message(`m-${i}`))
    const held = (await queue.take('call.test.fn', 4)).deliveries
    const pid = pidOf(join(given.folder, 'nats'))
    process.kill(pid, 'SIGKILL')
    // Acknowledged while nobody listens.
    held[0]?.ack()
    held[1]?.ack()
    await until(async () => (await queue.depths().catch(() => undefined)) !== undefined)
    const rest: Delivery[] = []
    await until(async () => {
      rest.push(...(await queue.take('call.test.fn', 100)).deliveries)
      return rest.length >= 6
    })
    expect(rest.map(({ head }) => head)).toEqual(
      [4, 5, 6, 7, 8, 9].map((i) => JSON.stringify({ id: `m-${i}` })),
    )
    for (const delivery of [...held, ...rest]) delivery.ack()
    await until(async () => {
      await queue.take('call.test.fn', 10)
      return (await queue.depths()).size === 0
    })
  })

  test('a message that takes longer than the lease is not delivered again to whoever works at it', async () => {
    await using given = await useServer({ ackWaitMs: 600 })
    const queue = given.open('long')
    await queue.publish(message('long'))
    const [delivery] = (await queue.take('call.test.fn', 1)).deliveries
    const end = performance.now() + 2500
    while (performance.now() < end) expect((await queue.take('call.test.fn', 1)).deliveries).toEqual([])
    delivery?.ack()
    await until(async () => (await queue.depths()).size === 0)
  })

  test('messages that were taken ahead stay ours while they wait for their turn', async () => {
    await using given = await useServer({ ackWaitMs: 600 })
    const queue = given.open('ahead')
    for (let i = 0; i < 10; i++) await queue.publish(message(`m-${i}`))
    const taken = [...(await queue.take('call.test.fn', 2)).deliveries]
    // Several leases long, and with nobody asking.
    const end = performance.now() + 2500
    while (performance.now() < end) expect((await queue.take('call.test.other', 1)).deliveries).toEqual([])
    while (taken.length < 10) taken.push(...(await queue.take('call.test.fn', 3)).deliveries)
    expect(taken.map(({ head }) => head)).toEqual(
      Array.from({ length: 10 }, (_, i) => JSON.stringify({ id: `m-${i}` })),
    )
    expect(taken.map(({ mayHaveRun }) => mayHaveRun)).toEqual(Array.from({ length: 10 }, () => false))
    for (const delivery of taken) delivery.ack()
    await until(async () => (await queue.depths()).size === 0)
    expect((await queue.take('call.test.fn', 1)).deliveries).toEqual([])
  })

  test('the server of a run that was killed is ended before the next one begins', async () => {
    await using folder = await makeFolder()
    const nats = join(folder.path, 'nats')
    // Its parent is another program, which ends without a word and is not there to take it along.
    const orphan = spawn(program, ['-a', '127.0.0.1', '-p', '-1', '-js', '-sd', join(nats, 'jetstream')], {
      stdio: 'ignore',
    })
    const ended = new Promise((resolve) => orphan.once('exit', resolve))
    mkdirSync(nats, { recursive: true })
    writeFileSync(join(nats, 'server.json'), JSON.stringify(identify(orphan.pid ?? 0)))
    await using server = natsServer({ folder: nats, program, log: silentLog })
    await server.address(AbortSignal.timeout(10_000))
    await ended
    expect(pidOf(nats)).not.toBe(orphan.pid)
  })

  test('a program that has got the number of a former server is left alone', async () => {
    await using folder = await makeFolder()
    const nats = join(folder.path, 'nats')
    mkdirSync(nats, { recursive: true })
    const other = spawn('sleep', ['60'])
    const identity = identify(other.pid ?? 0)
    writeFileSync(join(nats, 'server.json'), JSON.stringify({ ...identity, startedAt: '1' }))
    await using server = natsServer({ folder: nats, program, log: silentLog })
    await server.address(AbortSignal.timeout(10_000))
    expect(other.exitCode ?? other.signalCode).toBeNull()
    other.kill()
  })

  test.each([
    ['is a file', (nats: string) => writeFileSync(nats, 'not a folder')],
    [
      'has a store that is a file',
      (nats: string) => {
        mkdirSync(nats, { recursive: true })
        writeFileSync(join(nats, 'jetstream'), 'not a folder')
      },
    ],
  ])(
    'a data directory that %s is a clear error, and the queue comes up when it is put right',
    async (_what, spoil) => {
      await using folder = await makeFolder()
      const nats = join(folder.path, 'nats')
      spoil(nats)
      const server = natsServer({ folder: nats, program, log: silentLog })
      await using queue = new NatsQueue({
        source: server,
        instance: 'spoilt',
        dedupeMs: 60_000,
        log: silentLog,
      })
      const problem = await until(() => queue.problem)
      expect(problem.code).toBe('QUEUE_UNAVAILABLE')
      expect(problem.remedy).toContain(nats)
      await expect(queue.publish(message('a'))).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
      rmSync(nats, { recursive: true })
      await until(() => queue.problem === undefined)
      expect(await queue.publish(message('a'))).toMatchObject({ duplicate: false })
    },
  )

  test('a store with torn files comes up with the messages that are whole', async () => {
    await using folder = await makeFolder()
    const nats = join(folder.path, 'nats')
    {
      const server = natsServer({ folder: nats, program, log: silentLog })
      await using queue = new NatsQueue({
        source: server,
        instance: 'torn',
        dedupeMs: 60_000,
        log: silentLog,
      })
      for (let i = 0; i < 50; i++) await queue.publish(message(`m-${i}`, 1000))
    }
    // The end of the newest block is missing, as after a power cut; what its index says is nonsense.
    const files = readdirSync(nats, { recursive: true }).map(String)
    for (const file of files.filter((one) => one.endsWith('.blk') && one.includes('torn/'))) {
      const path = join(nats, file)
      truncateSync(path, statSync(path).size - 1500)
    }
    for (const file of files.filter((one) => one.endsWith('.idx')))
      writeFileSync(join(nats, file), 'nonsense')
    const server = natsServer({ folder: nats, program, log: silentLog })
    await using queue = new NatsQueue({ source: server, instance: 'torn', dedupeMs: 60_000, log: silentLog })
    const deliveries = await until(async () => {
      const taken = await queue.take('call.test.fn', 100).catch(() => undefined)
      return taken && taken.deliveries.length > 0 && taken.deliveries
    })
    expect(deliveries.length).toBeGreaterThanOrEqual(47)
    for (const delivery of deliveries) delivery.ack()
    expect(await queue.publish(message('new'))).toMatchObject({ duplicate: false })
  })

  test.skipIf(process.getuid?.() !== 0)(
    'a full disk is said so; nothing that was accepted is lost, and it goes on when there is room',
    async () => {
      await using folder = await makeFolder()
      const disk = join(folder.path, 'disk')
      mkdirSync(disk)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', disk])
      try {
        const server = natsServer({ folder: join(disk, 'nats'), program, log: silentLog })
        await using queue = new NatsQueue({
          source: server,
          instance: 'full',
          dedupeMs: 60_000,
          log: silentLog,
        })
        const accepted: string[] = []
        let refusal: unknown
        for (let i = 0; i < 200 && refusal === undefined; i++) {
          try {
            await queue.publish(message(`big-${i}`, 900_000))
            accepted.push(`big-${i}`)
          } catch (error) {
            refusal = error
          }
        }
        expect(refusal).toMatchObject({ code: 'DISK_FULL' })
        expect(accepted.length).toBeGreaterThan(20)
        // Others fill what is left.
        const filler = join(disk, 'filler')
        try {
          writeFileSync(filler, Buffer.alloc(48 * 2 ** 20))
        } catch {
          // That is the point.
        }
        await expect(queue.publish(message('one more', 900_000))).rejects.toMatchObject({ code: 'DISK_FULL' })
        rmSync(filler, { force: true })
        const seen: string[] = []
        await until(async () => {
          const { deliveries } = await queue.take('call.test.fn', 100)
          for (const delivery of deliveries) {
            seen.push((JSON.parse(delivery.head) as { id: string }).id)
            delivery.ack()
          }
          return seen.length >= accepted.length
        })
        expect(seen).toEqual(accepted)
        await until(async () => (await queue.depths()).size === 0)
        // The server frees the disk in its own time, and we look at it now and then.
        await untilPasses(async () => {
          expect(await queue.publish(message('again', 900_000))).toMatchObject({ duplicate: false })
        })
      } finally {
        execFileSync('umount', ['-l', disk])
      }
    },
  )

  test.skipIf(process.getuid?.() !== 0)(
    'a disk that others fill stops the queue, loses nothing, and lets it go on when there is room',
    { timeout: 60_000 },
    async () => {
      await using folder = await makeFolder()
      const disk = join(folder.path, 'disk')
      mkdirSync(disk)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', disk])
      try {
        const server = natsServer({ folder: join(disk, 'nats'), program, log: silentLog })
        await using queue = new NatsQueue({
          source: server,
          instance: 'full',
          dedupeMs: 60_000,
          log: silentLog,
        })
        const accepted: string[] = []
        const publish = async (id: string): Promise<void> => {
          await queue.publish(message(id, 200_000))
          accepted.push(id)
        }
        await publish('before')
        const filler = join(disk, 'filler')
        try {
          writeFileSync(filler, Buffer.alloc(48 * 2 ** 20))
        } catch {
          // That is the point.
        }
        let refusal: unknown
        for (let i = 0; i < 10 && refusal === undefined; i++)
          refusal = await publish(`full-${i}`).then(
            () => undefined,
            (error: unknown) => error,
          )
        expect((refusal as FaasError).code).toMatch(/^(DISK_FULL|QUEUE_UNAVAILABLE)$/)
        rmSync(filler, { force: true })
        await untilPasses(() => publish('after'), { everyMs: 200 })
        const seen = new Set<string>()
        await until(async () => {
          const { deliveries } = await queue.take('call.test.fn', 100)
          for (const delivery of deliveries) {
            seen.add((JSON.parse(delivery.head) as { id: string }).id)
            delivery.ack()
          }
          return accepted.every((id) => seen.has(id))
        })
      } finally {
        execFileSync('umount', ['-l', disk])
      }
    },
  )
})

test('a store that cannot be used is said to be, with its place and what to do', async () => {
  await using folder = await makeFolder()
  const place = join(folder.path, 'nats')
  mkdirSync(join(place, 'jetstream/jetstream/$G'), { recursive: true })
  writeFileSync(join(place, 'jetstream/jetstream/$G/streams'), 'no folder')
  const source = natsServer({ folder: place, program, log: silentLog })
  await using queue = new NatsQueue({ source, instance: 'one', dedupeMs: 60_000, log: silentLog })
  const problem = await until(() => queue.problem)
  expect(problem.code).toBe('QUEUE_UNAVAILABLE')
  expect(problem.message).toContain('cannot be used')
  expect(problem.remedy).toContain(place)
})

test('a server of somebody else is used by its address; without JetStream, or enough of it, it says so', async () => {
  await using folder = await makeFolder()
  const ports = join(folder.path, 'ports')
  mkdirSync(ports)
  const start = async (...more: string[]): Promise<{ url: string; stop: () => void }> => {
    const child = spawn(program, ['-a', '127.0.0.1', '-p', '-1', '--ports_file_dir', ports, ...more], {
      stdio: 'ignore',
    })
    const file = join(ports, `nats-server_${child.pid ?? 0}.ports`)
    const text = await until(() => {
      try {
        return (JSON.parse(readFileSync(file, 'utf8')) as { nats: string[] }).nats[0]
      } catch {
        return undefined
      }
    })
    return { url: text.replace('nats://', 'nats://me:it%20is%20me@'), stop: () => void child.kill() }
  }
  const login = ['--user', 'me', '--pass', 'it is me']
  const plain = await start(...login)
  {
    await using queue = new NatsQueue({
      source: externalSource(plain.url),
      instance: 'plain',
      dedupeMs: 60_000,
      log: silentLog,
    })
    const problem = await until(() => queue.problem)
    expect(problem).toMatchObject({
      code: 'QUEUE_UNAVAILABLE',
      remedy: expect.stringContaining('JetStream') as string,
    })
    expect(problem.message).not.toContain('it is me')
    const stranger = plain.url.replace('it%20is%20me', 'stranger')
    const said: string[] = []
    await using refused = new NatsQueue({
      source: externalSource(stranger),
      instance: 'plain',
      dedupeMs: 60_000,
      log: { ...silentLog, error: (words) => void said.push(words) },
    })
    expect((await until(() => refused.problem)).remedy).toContain('USER:PASSWORD')
    // Nobody has to call to be told.
    await until(() => said.length > 0)
    expect(said).toEqual([expect.stringContaining('async calls are refused')])
    expect(said[0]).not.toContain('stranger')
    // After a while nobody is made to wait for it.
    const patience = (): Promise<number> => {
      const since = Date.now()
      return refused.depths().then(
        () => -1,
        () => Date.now() - since,
      )
    }
    await until(async () => (await patience()) < 1000, { limitMs: 40_000 })
  }
  plain.stop()
  const full = await start(...login, '-js', '-sd', join(folder.path, 'js'))
  {
    await using queue = new NatsQueue({
      source: externalSource(full.url),
      instance: 'one',
      dedupeMs: 60_000,
      log: silentLog,
    })
    await using other = new NatsQueue({
      source: externalSource(full.url),
      instance: 'two',
      dedupeMs: 60_000,
      log: silentLog,
    })
    const same = { lane: 'call.a.b', id: 'x', head: '{}', body: new Uint8Array(0) }
    expect(await queue.publish(same)).toMatchObject({ duplicate: false })
    expect(await other.publish(same)).toMatchObject({ duplicate: false })
    expect((await queue.depths()).get('call.a.b')).toBe(1)
    // Its limit is another one than ours have: NATS' own.
    const body = Buffer.alloc(queue.maxFollowingBytes - same.head.length)
    expect(queue.maxFollowingBytes - queue.maxMessageBytes).toBeGreaterThanOrEqual(64 * 1024)
    await queue.dead.put({ ...same, id: 'large', body })
  }
  full.stop()
  const file = join(folder.path, 'narrow.json')
  const users = [{ user: 'me', password: 'it is me' }]
  writeFileSync(
    file,
    JSON.stringify({
      accounts: { narrow: { users, jetstream: { max_streams: 1 } } },
      jetstream: { store_dir: join(folder.path, 'narrow') },
    }),
  )
  const narrow = await start('-c', file)
  {
    await using queue = new NatsQueue({
      source: externalSource(narrow.url),
      instance: 'one',
      dedupeMs: 60_000,
      log: silentLog,
    })
    expect(await until(() => queue.problem)).toMatchObject({
      code: 'QUEUE_UNAVAILABLE',
      remedy: expect.stringMatching(/^Raise there what the account/) as string,
    })
  }
  narrow.stop()
})

test('a store that is emptied while it is in use takes no new message for an old one', async () => {
  await using folder = await makeFolder()
  const store = join(folder.path, 'nats')
  const start = (): NatsSource => natsServer({ folder: store, program, log: silentLog })
  let server = start()
  const source: NatsSource = {
    description: 'a server without a volume',
    address: (signal) => server.address(signal),
    explain: (error) => server.explain(error),
    distrust: () => undefined,
    shortage: () => undefined,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
  await using queue = new NatsQueue({ source, instance: 'emptied', dedupeMs: 60_000, log: silentLog })
  const lane = 'call.test.fn'
  const publish = (id: string) => queue.publish({ lane, id, head: id, body: new Uint8Array(0) })
  const take = async (count: number): Promise<Delivery[]> => {
    const taken: Delivery[] = []
    await until(async () => {
      taken.push(...(await queue.take(lane, count - taken.length)).deliveries)
      return taken.length === count
    })
    return taken
  }
  for (const id of ['a', 'b', 'c', 'd']) await publish(id)
  const [first, second, third, under] = await take(4)
  for (const delivery of [first, second, third]) delivery?.ack()
  await until(async () => ((await queue.depths()).get(lane) ?? 0) === 1)
  const { epoch } = queue

  await server[Symbol.asyncDispose]()
  rmSync(store, { recursive: true })
  server = start()
  // Their positions are those of messages that were dealt with, or are just now.
  for (const id of ['e', 'f', 'g', 'h']) await publish(id)
  expect(queue.epoch).toBeGreaterThan(epoch)
  const taken = await take(4)
  expect(taken.map(({ head }) => head)).toEqual(['e', 'f', 'g', 'h'])
  under?.ack()
  under?.release(0)
  expect((await queue.depths()).get(lane)).toBe(4)
  for (const delivery of taken) delivery.ack()
  await until(async () => ((await queue.depths()).get(lane) ?? 0) === 0)
})

const WAITING = { lane: 'call.test.waiting', head: '{}', body: Buffer.alloc(50_000) }

test('nothing is left of stored bodies: not of removed ones, and not of those that a crash broke off', async () => {
  await using given = await useServer()
  const queue = given.open('left')
  const body = async function* (): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 4; i++) yield await Promise.resolve(Buffer.alloc(600_000))
  }
  const { servers, token = '' } = await given.server.address(AbortSignal.timeout(5000))
  const connection = await connect({ servers: [...servers], token })
  const manager = await jetstreamManager(connection)
  const { streams } = manager
  const left = async (): Promise<number> => (await streams.info('OBJ_faasdock_left')).state.messages
  await queue.bodies.put('call/one', body())
  await queue.bodies.remove('call/one')
  expect(await left()).toBe(0)
  // Servers of 2.9 count what is purged by its subject for ever.
  expect((await manager.getAccountInfo()).storage).toBeLessThan(100_000)
  for (let i = 0; i < 20; i++) await queue.publish({ ...WAITING, id: `waiting-${i}` })
  const last = await queue.publish({ ...WAITING, id: 'last' })
  expect(await queue.purge(WAITING.lane, last.position - 1)).toBe(20)
  expect((await queue.depths()).get(WAITING.lane)).toBe(1)
  expect((await manager.getAccountInfo()).storage).toBeLessThan(100_000)

  await queue.bodies.put('call/kept', body())
  const kept = await left()
  const subject = '$O.faasdock_left.C.brokenoff'
  await jetstream(connection).publish(subject, Buffer.alloc(1000))
  // As an earlier version removed them.
  const store = await new Objm(connection).open('faasdock_left')
  await store.putBlob({ name: 'call/marked' }, Buffer.alloc(10))
  await store.delete('call/marked')
  expect(await left()).toBe(kept + 2)
  // Somebody may be storing it just now.
  await queue.bodies.tidy(Date.now() - 60_000)
  expect(await left()).toBe(kept + 1)
  await queue.bodies.tidy(Date.now() + 60_000)
  expect(await left()).toBe(kept)
  let bytes = 0
  for await (const piece of await queue.bodies.open('call/kept')) bytes += piece.length
  expect(bytes).toBe(2_400_000)
  await connection.close()
})

test('streams that somebody deletes from a server are made again', async () => {
  await using folder = await makeFolder()
  const server = natsServer({ folder: join(folder.path, 'nats'), program, log: silentLog })
  const source: NatsSource = {
    description: 'a server of somebody else',
    address: (signal) => server.address(signal),
    explain: (error) => server.explain(error),
    distrust: () => undefined,
    shortage: () => undefined,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
  await using queue = new NatsQueue({ source, instance: 'deleted', dedupeMs: 60_000, log: silentLog })
  const lane = 'call.test.fn'
  const publish = async (id: string): Promise<void> => {
    await queue.publish({ lane, id, head: id, body: new Uint8Array(0) })
  }
  await publish('before')
  const { servers, token = '' } = await server.address(AbortSignal.timeout(5000))
  const connection = await connect({ servers: [...servers], token })
  await (await jetstreamManager(connection)).streams.delete('FAASDOCK_deleted')
  await connection.close()
  await untilPasses(() => publish('after'))
  const { deliveries } = await queue.take(lane, 10)
  expect(deliveries.map(({ head }) => head)).toEqual(['after'])
  for (const delivery of deliveries) delivery.ack()
})

test.each(['http://127.0.0.1', 'nats://', '::::'])('%j is no address of a NATS server', (text) => {
  expect(() => externalSource(text)).toThrow(/accepted is nats:\/\/HOST:PORT/)
})

/** Where others keep the machine busy, times say nothing. */
function isBusy(): boolean {
  return loadavg()[0]! > cpus().length
}
