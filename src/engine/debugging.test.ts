import { Duplex, PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { makePlatform, soon, specOf, steeredImage } from '../../test/support/platform.ts'
import type { TestPlatform } from '../../test/support/platform.ts'
import type { DebugBook, DebugClient, DebugDoors, DebugEntry } from '../core/debug.ts'
import { FaasError } from '../core/errors.ts'
import { formatRef, parseRef } from '../core/function.ts'
import type { Log } from '../core/log.ts'
import { silentLog } from '../core/log.ts'
import { Debugging } from './debugging.ts'

const target = { language: 'node', folder: '/home/app/function' } as const
/** What is said to a replica's debugger comes back, with the replica's name before it. */
const echoing = (replica: string): Duplex => {
  const back = new PassThrough()
  back.write(`${replica}:`)
  return Duplex.from({ readable: back, writable: back })
}
const images = {
  node: { ...steeredImage(), debugger: { ...target, connect: echoing } },
  go: steeredImage(),
}

/** Ports without sockets; those that others have taken. */
class FakeDoors implements DebugDoors {
  readonly open_ = new Map<number, (client: DebugClient) => void>()
  readonly foreign = new Set<number>()

  open(port: number, onClient: (client: DebugClient) => void): Promise<AsyncDisposable> {
    if (this.open_.has(port) || this.foreign.has(port))
      return Promise.reject(new FaasError('PORT_TAKEN', { message: `port ${port} is taken`, remedy: 'wait' }))
    this.open_.set(port, onClient)
    const close = (): Promise<void> => Promise.resolve(void this.open_.delete(port))
    return Promise.resolve({ [Symbol.asyncDispose]: close })
  }

  /** A debugger connects; what it hears. */
  connect(
    port: number,
  ): { readonly heard: () => string; readonly say: (text: string) => void } & DebugClient {
    const gone = new AbortController()
    let heard = ''
    const toUs = new PassThrough()
    const fromUs = new PassThrough()
    fromUs.on('data', (chunk: Buffer) => (heard += chunk.toString()))
    const client = {
      stream: Duplex.from({ readable: toUs, writable: fromUs }),
      gone: gone.signal,
      [Symbol.dispose]: () => gone.abort(),
    }
    this.open_.get(port)?.(client)
    return { ...client, heard: () => heard, say: (text) => void toUs.write(text) }
  }
}

class FakeBook implements DebugBook {
  readonly entries = new Map<string, DebugEntry>()
  all = (): readonly DebugEntry[] => [...this.entries.values()]
  put = (entry: DebugEntry): void => void this.entries.set(formatRef(entry.ref), entry)
}

interface Setting {
  readonly doors?: FakeDoors
  readonly book?: FakeBook
  readonly isAllowed?: boolean
  readonly log?: Log
}

function make(platform: TestPlatform, setting: Setting = {}): Debugging {
  const { doors = new FakeDoors(), book = new FakeBook(), isAllowed = true, log = silentLog } = setting
  return new Debugging({ ...platform, doors, book, isAllowed, log })
}

async function deployed(...names: string[]): Promise<TestPlatform> {
  const platform = await makePlatform(images)
  for (const name of names)
    await platform.functions.deploy(specOf(name, name.startsWith('go') ? 'go' : 'node')).settled
  return platform
}

const portsOf = async (debugging: Debugging): Promise<string[]> =>
  (await debugging.list()).map(({ ref, port }) => `${ref.name} ${port}`)

test('each Node and Python function gets a port, from 9229 on, that nobody else has', async () => {
  await using platform = await deployed('a', 'b', 'go-1')
  const doors = new FakeDoors()
  doors.foreign.add(9229)
  await using debugging = make(platform, { doors })
  expect((await debugging.on()).map(({ ref, ...rest }) => ({ name: ref.name, ...rest }))).toEqual([
    { name: 'a', ...target, port: 9230, clients: 0 },
    { name: 'b', ...target, port: 9231, clients: 0 },
  ])
  await debugging.off()
  expect(doors.open_.size).toBe(0)
  await debugging.on([parseRef('b')])
  expect(await portsOf(debugging)).toEqual(['b 9231'])
})

test('where a handler is in its image is as its source tells, else as its image does', async () => {
  await using platform = await deployed('a', 'b')
  const handlerFolder = ({ name }: { name: string }) => (name === 'a' ? '/srv/function' : undefined)
  await using debugging = new Debugging({
    ...platform,
    doors: new FakeDoors(),
    book: new FakeBook(),
    isAllowed: true,
    log: silentLog,
    handlerFolder,
  })
  const states = await debugging.on()
  expect(states.map(({ folder }) => folder)).toEqual(['/srv/function', '/home/app/function'])
})

test('what has no debugger, or is not there, is said by name', async () => {
  await using platform = await deployed('go-1')
  await using debugging = make(platform)
  await expect(debugging.on([parseRef('go-1')])).rejects.toMatchObject({ code: 'DEBUGGER_UNAVAILABLE' })
  await expect(debugging.on([parseRef('nobody')])).rejects.toMatchObject({ code: 'FUNCTION_NOT_FOUND' })
})

test('a gateway for other machines opens nothing, also not what was open before', async () => {
  await using platform = await deployed('a')
  const [doors, book] = [new FakeDoors(), new FakeBook()]
  book.put({ ref: parseRef('a'), port: 9229, isOn: true })
  await using debugging = make(platform, { doors, book, isAllowed: false })
  await expect(debugging.on()).rejects.toMatchObject({ code: 'DEBUGGER_UNAVAILABLE' })
  debugging.resume()
  await debugging.off()
  expect(doors.open_.size).toBe(0)
})

test('a debugger that connects wakes the function, and talks with a replica', async () => {
  await using platform = await deployed('a')
  const doors = new FakeDoors()
  await using debugging = make(platform, { doors })
  await debugging.on()
  platform.functions.scale(parseRef('a'), 0)
  await soon(() => platform.provider.actual(parseRef('a'))?.available === 0)
  const client = doors.connect(9229)
  client.say('hello')
  await soon(() => /:hello$/.test(client.heard()))
  expect(debugging.isAttached(parseRef('a'))).toBe(true)
  client[Symbol.dispose]()
  await soon(() => !debugging.isAttached(parseRef('a')))
})

test('while it is connected, all calls go to its replica, and may take as long as they like', async () => {
  await using platform = await deployed('a')
  const ref = parseRef('a')
  const doors = new FakeDoors()
  await using debugging = make(platform, { doors })
  await debugging.on()
  platform.functions.scale(ref, 3)
  await soon(() => platform.provider.actual(ref)?.available === 3)
  const client = doors.connect(9229)
  await soon(() => client.heard() !== '')
  const leases = Array.from({ length: 6 }, () => platform.provider.lease(ref))
  expect(new Set(leases.map((lease) => `${lease?.replica}:`))).toEqual(new Set([client.heard()]))
  expect(leases.map((lease) => lease?.isDebugged)).toEqual(Array(6).fill(true))
  client[Symbol.dispose]()
  await soon(() => leases[0]?.isDebugged === false)
  for (const lease of leases) lease?.[Symbol.dispose]()
  const others = Array.from({ length: 3 }, () => platform.provider.lease(ref))
  expect(new Set(others.map((lease) => lease?.replica)).size).toBe(3)
  for (const lease of others) lease?.[Symbol.dispose]()
})

test('a replica that somebody debugs is the last to go', async () => {
  await using platform = await deployed('a')
  const ref = parseRef('a')
  const doors = new FakeDoors()
  await using debugging = make(platform, { doors })
  await debugging.on()
  platform.functions.scale(ref, 3)
  await soon(() => platform.provider.actual(ref)?.available === 3)
  const client = doors.connect(9229)
  await soon(() => client.heard() !== '')
  // The busiest one, too.
  using lease = platform.provider.lease(ref)
  platform.functions.scale(ref, 1)
  await soon(() => platform.provider.actual(ref)?.available === 1)
  expect(lease && `${lease.replica}:`).toBe(client.heard())
  lease?.[Symbol.dispose]()
  using next = platform.provider.lease(ref)
  expect(next && `${next.replica}:`).toBe(client.heard())
  client[Symbol.dispose]()
})

test('a port comes back with its function, and when the platform runs again', async () => {
  await using platform = await deployed('a')
  const [doors, book] = [new FakeDoors(), new FakeBook()]
  await using debugging = make(platform, { doors, book })
  await debugging.on()
  platform.functions.remove(parseRef('a'))
  await soon(() => doors.open_.size === 0)
  await platform.functions.deploy(specOf('a', 'node')).settled
  await soon(() => doors.open_.has(9229))
  await debugging[Symbol.asyncDispose]()
  expect(doors.open_.size).toBe(0)
  await using next = make(platform, { doors, book })
  next.resume()
  await soon(() => doors.open_.has(9229))
})

test('a port that somebody took meanwhile is moved only when somebody asks', async () => {
  await using platform = await deployed('a')
  const [doors, book] = [new FakeDoors(), new FakeBook()]
  doors.foreign.add(9300)
  book.put({ ref: parseRef('a'), port: 9300, isOn: true })
  const said: string[] = []
  await using debugging = make(platform, {
    doors,
    book,
    log: { ...silentLog, warn: (text) => void said.push(text) },
  })
  debugging.resume()
  await soon(() => said.length > 0)
  expect(said.join()).toContain('port 9300 is taken')
  expect(await portsOf(debugging)).toEqual([])
  await debugging.on()
  expect(await portsOf(debugging)).toEqual(['a 9229'])
})

test('a debugger that cannot be had is told once, however often somebody tries', async () => {
  await using platform = await deployed('a')
  const doors = new FakeDoors()
  const said: string[] = []
  const log = { ...silentLog, warn: (text: string) => void said.push(text) }
  const failing = {
    debugTarget: () => Promise.resolve(target),
    debug: () =>
      Promise.reject(new FaasError('DEBUGGER_UNAVAILABLE', { message: 'no debugpy', remedy: 'get it' })),
  }
  await using debugging = new Debugging({
    ...platform,
    provider: failing,
    doors,
    book: new FakeBook(),
    isAllowed: true,
    log,
  })
  await debugging.on()
  for (let n = 0; n < 3; n++) {
    const client = doors.connect(9229)
    await soon(() => client.gone.aborted)
  }
  expect(said).toEqual(['no debugger for a.openfaas-fn: no debugpy\nget it'])
})

test('a replica that is debugged is not stopped in the middle of a call', async () => {
  await using platform = await deployed('a')
  const ref = parseRef('a')
  const doors = new FakeDoors()
  await using debugging = make(platform, { doors })
  await debugging.on()
  const client = doors.connect(9229)
  await soon(() => client.heard() !== '')
  const gone: string[] = []
  using _watch = platform.provider.watch((event) => {
    if (event.type === 'replica-gone') gone.push(event.replica)
  })
  const lease = platform.provider.lease(ref)
  platform.functions.scale(ref, 0)
  await soon(() => platform.provider.actual(ref)?.available === 0)
  // Far beyond the time that a replica has to end its calls.
  await platform.clock.advance(10 * 60_000)
  expect(gone).toEqual([])
  lease?.[Symbol.dispose]()
  await soon(() => gone.length === 1)
  client[Symbol.dispose]()
})
