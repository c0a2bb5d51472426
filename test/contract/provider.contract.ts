import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FunctionRef, FunctionSpec } from '../../src/core/function.ts'
import type { Lease, LogLine, Provider, ProviderEvent } from '../../src/core/provider.ts'
import type { Start } from '../support/hello.ts'
import { HELLO_PORT_OF_CHILD, helloSpec, revisionOf } from '../support/hello.ts'
import { until } from '../support/until.ts'

export interface ProviderUnderTest extends AsyncDisposable {
  readonly provider: Provider
  /** Ends a replica as a crash would. */
  readonly crash: (replica: string) => Promise<void>
  /** How many replicas of a function exist, in whatever state; absent where nobody can see it. */
  readonly count?: (ref: FunctionRef) => Promise<number>
}

export interface ProviderContract {
  readonly name: string
  /** A provider of its own, ready for its first deploy. */
  readonly make: (options: {
    readonly startTimeoutMs: number
    readonly drainMs: number
  }) => Promise<ProviderUnderTest>
  /** Name of the image of `test/support/hello.ts`; and of one that nobody has. */
  readonly image: string
  readonly missingImage: string
  /** How long the slow call takes that outlives its revision. */
  readonly slowCallMs: number
  /** A time in which a replica surely is not ready when it is told to be slow. */
  readonly slowStartMs: number
}

const never = new AbortController().signal

/** What src/core/provider.ts promises, for any provider. */
export function providerContract(contract: ProviderContract): void {
  const { image, missingImage, slowCallMs, slowStartMs } = contract
  let under: ProviderUnderTest
  let provider: Provider

  beforeAll(async () => {
    under = await contract.make({ startTimeoutMs: 60_000, drainMs: 30_000 })
    provider = under.provider
  })
  afterAll(() => under[Symbol.asyncDispose]())

  /** Calls the function as the platform does: over a lease. */
  async function call(ref: FunctionRef, path = '/'): Promise<{ word: string; replica: string }> {
    using lease = provider.lease(ref)
    if (!lease) throw new Error('no replica is ready')
    const response = await fetch(lease.origin + path)
    if (response.status !== 200) throw new Error(`status ${response.status}`)
    return (await response.json()) as { word: string; replica: string }
  }

  /** Nothing but `replicas` is there of the function. */
  async function expectLeft(ref: FunctionRef, replicas: number): Promise<void> {
    const { count } = under
    if (count)
      await eventually(async () => (await count(ref)) === replicas, 15_000, `${replicas} replicas left`)
    expect(provider.actual(ref)?.replicas ?? 0).toBe(replicas)
  }

  const spec = (given: { word?: string; start?: Start } & Partial<FunctionSpec> = {}): FunctionSpec =>
    helloSpec(image, given)

  async function deployed(given: Parameters<typeof spec>[0] = {}, replicas = 1): Promise<FunctionSpec> {
    const made = spec(given)
    await provider.deploy(revisionOf(made), replicas, never)
    return made
  }

  describe('deploy', () => {
    test.each<Start>(['ok', `slow:${slowStartMs}`, `unready:${slowStartMs}`, `watchdog:${slowStartMs}`])(
      'resolves once a function that starts %s answers, not sooner',
      async (start) => {
        const envVars = { mode: 'http', upstream_url: `http://127.0.0.1:${HELLO_PORT_OF_CHILD}` }
        const fn = spec({ start, ...(start.startsWith('watchdog') && { envVars }) })
        const begun = performance.now()
        await provider.deploy(revisionOf(fn), 1, never)
        const took = performance.now() - begun
        expect(await call(fn)).toMatchObject({ word: 'hello' })
        // Timers count whole milliseconds, and may end a part of one early.
        if (start !== 'ok') expect(took).toBeGreaterThan(slowStartMs - 2)
        expect(provider.actual(fn)).toMatchObject({ replicas: 1, available: 1 })
        await provider.remove(fn)
      },
    )

    test('of the revision that is there changes nothing', async () => {
      const fn = spec()
      const revision = revisionOf(fn)
      await provider.deploy(revision, 2, never)
      const before = replicasOf(provider, fn, 2)
      const events: ProviderEvent[] = []
      using _watch = provider.watch((event) => events.push(event))
      await provider.deploy(revision, 2, never)
      expect(replicasOf(provider, fn, 2)).toEqual(before)
      expect(events.filter((event) => 'ref' in event && event.ref.name === fn.name)).toEqual([])
      await provider.remove(fn)
    })

    test('of twenty revisions under a constant stream of calls fails none and never turns back', async () => {
      const first = await deployed({ word: '0' })
      let resolved = 0
      let stopped = false
      let calls = 0
      const faults: string[] = []
      const caller = async (): Promise<void> => {
        while (!stopped) {
          const least = resolved
          const answer = await call(first).catch((error: unknown) => ({ word: String(error) }))
          calls++
          if (!(Number(answer.word) >= least)) faults.push(`after ${least}: ${answer.word}`)
        }
      }
      const callers = [caller(), caller(), caller(), caller()]
      for (let next = 1; next <= 20; next++) {
        const fn = { ...first, envVars: { ...first.envVars, WORD: String(next) } }
        await provider.deploy(revisionOf(fn), 1, never)
        resolved = next
        const enough = calls + 10
        await eventually(() => calls >= enough, 15_000, 'the next calls')
      }
      stopped = true
      await Promise.all(callers)
      expect(faults).toEqual([])
      await expectLeft(first, 1)
      await provider.remove(first)
    })

    test('keeps a call that began before it until the call ends', async () => {
      const fn = await deployed({ word: 'old' })
      const slow = call(fn, `/slow?ms=${slowCallMs}`)
      await provider.deploy(revisionOf({ ...fn, envVars: { WORD: 'new' } }), 1, never)
      expect((await call(fn)).word).toBe('new')
      expect((await slow).word).toBe('old')
      await expectLeft(fn, 1)
      await provider.remove(fn)
    })

    test('of an image that nobody has says so, and keeps the old revision', async () => {
      const fn = await deployed({ word: 'old' })
      await expect(
        provider.deploy(revisionOf({ ...fn, image: missingImage }), 1, never),
      ).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
      await expect(provider.resolveImage(missingImage, never)).rejects.toMatchObject({
        code: 'IMAGE_NOT_FOUND',
      })
      expect((await call(fn)).word).toBe('old')
      await provider.remove(fn)
    })

    test('of an image by its id runs that image', async () => {
      const id = await provider.resolveImage(image, never)
      expect(await provider.resolveImage(image, never)).toBe(id)
      const fn = spec()
      await provider.deploy(revisionOf(fn, id), 1, never)
      expect((await call(fn)).word).toBe('hello')
      await provider.remove(fn)
    })

    test('of a revision that ends at once tells its last lines and removes it; the old one keeps answering', async () => {
      const fn = await deployed({ word: 'old' })
      const failing = revisionOf({ ...fn, envVars: { WORD: 'new', START: 'exit:3' } })
      await expect(provider.deploy(failing, 2, never)).rejects.toMatchObject({
        code: 'REPLICA_EXITED',
        message: expect.stringMatching(/code 3[^]*cannot find module/) as string,
      })
      expect((await call(fn)).word).toBe('old')
      await expectLeft(fn, 1)
      await provider.remove(fn)
    })

    test('of a first revision that ends at once leaves nothing', async () => {
      const fn = spec({ start: 'exit:1' })
      await expect(provider.deploy(revisionOf(fn), 1, never)).rejects.toMatchObject({
        code: 'REPLICA_EXITED',
      })
      expect(provider.lease(fn)).toBeUndefined()
      await expectLeft(fn, 0)
    })

    test('of a revision that never answers gives up in time and tells its last lines', async () => {
      await using impatient = await contract.make({ startTimeoutMs: 1500, drainMs: 1000 })
      const fn = spec({ start: 'never', word: 'mute' })
      await expect(impatient.provider.deploy(revisionOf(fn), 1, never)).rejects.toMatchObject({
        code: 'REPLICA_NOT_READY',
        message: expect.stringContaining('hello begins as mute') as string,
      })
      expect(impatient.provider.lease(fn)).toBeUndefined()
      const { count } = impatient
      if (count) await eventually(async () => (await count(fn)) === 0, 15_000)
    })

    test('that is aborted rejects with the reason, leaves nothing of it, and the old revision keeps answering', async () => {
      const fn = await deployed({ word: 'old' })
      const abort = new AbortController()
      const slow = revisionOf({ ...fn, envVars: { WORD: 'new', START: 'slow:60000' } })
      const deploy = provider.deploy(slow, 2, abort.signal)
      setTimeout(() => abort.abort(new Error('saved again')), slowStartMs)
      await expect(deploy).rejects.toThrow('saved again')
      expect((await call(fn)).word).toBe('old')
      await expectLeft(fn, 1)
      await expect(provider.deploy(slow, 1, AbortSignal.abort(new Error('too late')))).rejects.toThrow(
        'too late',
      )
      await expectLeft(fn, 1)
      await provider.deploy(revisionOf({ ...fn, envVars: { WORD: 'newest' } }), 1, never)
      expect((await call(fn)).word).toBe('newest')
      await provider.remove(fn)
    })
  })

  describe('the number of replicas', () => {
    test('goes up and down, and down keeps calls in flight', async () => {
      const fn = spec()
      const revision = revisionOf(fn)
      await provider.deploy(revision, 1, never)
      await provider.deploy(revision, 3, never)
      expect(provider.actual(fn)).toMatchObject({ replicas: 3, available: 3, revision: revision.id })
      expect(new Set(replicasOf(provider, fn, 3)).size).toBe(3)
      const calls = [1, 2, 3].map(() => call(fn, `/slow?ms=${slowStartMs}`))
      await provider.deploy(revision, 1, never)
      expect(provider.actual(fn)).toMatchObject({ replicas: 1, available: 1 })
      expect(new Set((await Promise.all(calls)).map(({ replica }) => replica)).size).toBe(3)
      await expectLeft(fn, 1)
      await provider.remove(fn)
    })

    test('may be zero: nothing runs or answers, and one more deploy brings it back', async () => {
      const fn = spec()
      const revision = revisionOf(fn)
      await provider.deploy(revision, 2, never)
      await provider.deploy(revision, 0, never)
      expect(provider.lease(fn)).toBeUndefined()
      await expectLeft(fn, 0)
      await provider.deploy(revision, 1, never)
      expect((await call(fn)).word).toBe('hello')
      await provider.remove(fn)
    })

    test('changes together with the revision', async () => {
      const fn = await deployed({ word: 'old' }, 2)
      await provider.deploy(revisionOf({ ...fn, envVars: { WORD: 'new' } }), 3, never)
      expect(provider.actual(fn)).toMatchObject({ replicas: 3, available: 3 })
      await expectLeft(fn, 3)
      expect((await call(fn)).word).toBe('new')
      await provider.remove(fn)
    })
  })

  describe('a lease', () => {
    test('is for the replica with the fewest in flight, and ends once', async () => {
      const fn = await deployed({}, 3)
      const leases = Array.from({ length: 6 }, () => provider.lease(fn) as Lease)
      expect(tally(leases)).toEqual([2, 2, 2])
      const free = leases[4] as Lease
      free[Symbol.dispose]()
      free[Symbol.dispose]()
      const next = provider.lease(fn) as Lease
      expect(next.replica).toBe(free.replica)
      // Had the second dispose counted, this one would be the least busy still.
      const more = [1, 2, 3].map(() => provider.lease(fn) as Lease)
      expect(tally(more)).toEqual([1, 1, 1])
      for (const lease of [...leases, next, ...more]) lease[Symbol.dispose]()
      await provider.remove(fn)
    })

    test('is not given for what was never deployed', () => {
      expect(provider.lease({ name: 'nobody', namespace: 'openfaas-fn' })).toBeUndefined()
      expect(provider.actual({ name: 'nobody', namespace: 'openfaas-fn' })).toBeUndefined()
    })
  })

  describe('remove', () => {
    test('lets calls in flight end, gives no more leases, and leaves nothing', async () => {
      const fn = await deployed({}, 2)
      const slow = call(fn, `/slow?ms=${slowStartMs}`)
      const removed = provider.remove(fn)
      expect(provider.lease(fn)).toBeUndefined()
      let hasEnded = false
      const ended = slow.then(() => (hasEnded = true))
      await removed
      expect(hasEnded).toBe(true)
      await ended
      await expectLeft(fn, 0)
      expect(provider.list().some(({ ref }) => ref.name === fn.name)).toBe(false)
    })

    test('of an unknown function is no error', () =>
      expect(provider.remove({ name: 'nobody', namespace: 'openfaas-fn' })).resolves.toBeUndefined())

    test('stops waiting for a call that outlasts the limit', async () => {
      await using hasty = await contract.make({ startTimeoutMs: 60_000, drainMs: 300 })
      const fn = spec()
      await hasty.provider.deploy(revisionOf(fn), 1, never)
      using lease = hasty.provider.lease(fn) as Lease
      const outcome = fetch(`${lease.origin}/slow?ms=60000`).then(
        () => 'answered',
        () => 'cut off',
      )
      await hasty.provider.remove(fn)
      expect(await outcome).toBe('cut off')
    })

    test('keeps functions of the same name in another namespace apart', async () => {
      const here = await deployed({ word: 'here' })
      const there = await deployed({ word: 'there', name: here.name, namespace: 'elsewhere' })
      expect((await call(here)).word).toBe('here')
      expect((await call(there)).word).toBe('there')
      await provider.remove(here)
      expect(provider.lease(here)).toBeUndefined()
      expect((await call(there)).word).toBe('there')
      await provider.remove(there)
    })
  })

  describe('watch', () => {
    test('tells of replicas that come and go, and whether that was wanted', async () => {
      const events: ProviderEvent[] = []
      const watch = provider.watch((event) => events.push(event))
      const fn = spec()
      const of = (type: ProviderEvent['type']): ProviderEvent[] =>
        events.filter((event) => event.type === type && 'ref' in event && event.ref.name === fn.name)
      const [old, next] = [revisionOf(fn), revisionOf(fn)]
      await provider.deploy(old, 1, never)
      expect(of('replica-ready')).toMatchObject([{ revision: old.id }])
      await provider.deploy(next, 1, never)
      expect(of('replica-ready')).toMatchObject([{ revision: old.id }, { revision: next.id }])
      await eventually(() => of('replica-gone').length === 1, 15_000, 'the end of the old replica')
      expect(of('replica-gone')).toMatchObject([{ revision: old.id, expected: true }])
      watch[Symbol.dispose]()
      await provider.remove(fn)
      expect(of('replica-gone')).toHaveLength(1)
    })

    test('tells of a replica that dies by itself, which gets no more calls; a deploy replaces it', async () => {
      const fn = spec()
      const revision = revisionOf(fn)
      await provider.deploy(revision, 2, never)
      const gone: (ProviderEvent & { type: 'replica-gone' })[] = []
      using _watch = provider.watch((event) => {
        if (event.type === 'replica-gone' && event.ref.name === fn.name) gone.push(event)
      })
      const [victim = ''] = replicasOf(provider, fn, 2)
      await under.crash(victim)
      await eventually(() => gone.length === 1, 15_000, 'the report of the crash')
      expect(gone).toMatchObject([{ replica: victim, revision: revision.id, expected: false }])
      expect(gone[0]?.reason).not.toBe('')
      expect(provider.actual(fn)).toMatchObject({ replicas: 1, available: 1 })
      expect(replicasOf(provider, fn, 1)).not.toContain(victim)
      await provider.deploy(revision, 2, never)
      expect(replicasOf(provider, fn, 2)).not.toContain(victim)
      await expectLeft(fn, 2)
      await provider.remove(fn)
      expect(gone.filter(({ expected }) => !expected)).toHaveLength(1)
    })
  })

  describe('logs', () => {
    test('give all lines of all replicas, their tail, those since a moment, and those of one replica', async () => {
      const fn = await deployed({ word: 'talker' }, 2)
      const [one, two] = await eachReplica(provider, fn, 2, (origin, index) =>
        fetch(`${origin}/print?text=first-${index}`),
      )
      await eventually(async () => (await read(provider, { ref: fn, follow: false })).length === 4)
      const all = await read(provider, { ref: fn, follow: false })
      expect(all.map(({ text }) => text).sort()).toEqual([
        'first-0',
        'first-1',
        'hello begins as talker',
        'hello begins as talker',
      ])
      expect(all.map(({ ref }) => ref.name)).toEqual(Array(4).fill(fn.name))
      expect(all.every(({ timestamp }) => !Number.isNaN(Date.parse(timestamp)))).toBe(true)
      expect((await read(provider, { ref: fn, follow: false, tail: 0 })).length).toBe(4)

      const tail = await read(provider, {
        ref: fn,
        follow: false,
        tail: 1,
        instance: (one ?? '').slice(0, 12),
      })
      expect(tail.map(({ text }) => text)).toEqual(['first-0'])
      expect(new Set(tail.map(({ instance }) => instance))).toEqual(new Set([(one ?? '').slice(0, 12)]))

      await new Promise((resolve) => setTimeout(resolve, 1100))
      const since = new Date()
      await fetch(`${originOf(provider, fn, two ?? '')}/print?text=second`)
      await eventually(async () => (await read(provider, { ref: fn, follow: false, since })).length > 0)
      expect((await read(provider, { ref: fn, follow: false, since })).map(({ text }) => text)).toEqual([
        'second',
      ])
      await provider.remove(fn)
    })

    test('follow until told to stop, also into the next revision', async () => {
      const fn = await deployed({ word: 'first' })
      const abort = new AbortController()
      const seen: string[] = []
      const reading = (async () => {
        for await (const { text } of provider.logs({ ref: fn, follow: true }, abort.signal)) seen.push(text)
      })()
      await eventually(() => seen.includes('hello begins as first'), 15_000)
      await eachReplica(provider, fn, 1, (origin) => fetch(`${origin}/print?text=live`))
      await eventually(() => seen.includes('live'), 15_000, 'the line of a followed function')
      await provider.deploy(revisionOf({ ...fn, envVars: { WORD: 'second' } }), 1, never)
      await eventually(() => seen.includes('hello begins as second'), 15_000, 'the line of the next revision')
      abort.abort()
      await reading
      await provider.remove(fn)
    })

    test('of a slow reader miss no line', async () => {
      const fn = await deployed({ word: 'talker' })
      const abort = new AbortController()
      const lines = provider.logs({ ref: fn, follow: true }, abort.signal)[Symbol.asyncIterator]()
      expect((await lines.next()).value).toMatchObject({ text: 'hello begins as talker' })
      for (let line = 0; line < 5; line++)
        await eachReplica(provider, fn, 1, (origin) => fetch(`${origin}/print?text=line-${line}`))
      const seen: string[] = []
      while (seen.length < 5) seen.push(((await lines.next()).value as LogLine).text)
      expect(seen).toEqual(['line-0', 'line-1', 'line-2', 'line-3', 'line-4'])
      abort.abort()
      expect((await lines.next()).done).toBe(true)
      await provider.remove(fn)
    })

    test('of replicas that are gone are there still, in the order of their times, and the last lines are the last of all', async () => {
      const fn = await deployed({ word: 'first' })
      await eachReplica(provider, fn, 1, (origin) => fetch(`${origin}/print?text=before`))
      await provider.deploy(revisionOf({ ...fn, envVars: { WORD: 'second' } }), 1, never)
      await expectLeft(fn, 1)
      const texts = async (query: object = {}): Promise<string[]> =>
        (await read(provider, { ref: fn, follow: false, ...query })).map(({ text }) => text)
      expect(await texts()).toEqual(['hello begins as first', 'before', 'hello begins as second'])
      expect(await texts({ tail: 2 })).toEqual(['before', 'hello begins as second'])
      const [gone] = await read(provider, { ref: fn, follow: false })
      expect(await texts({ instance: gone?.instance })).toEqual(['hello begins as first', 'before'])
      await provider.remove(fn)
      expect(await texts()).toHaveLength(3)
    })

    test('have the platform’s words as lines of faasdock, of this function and no other, also for who follows', async () => {
      const [fn, other] = [await deployed(), await deployed()]
      const abort = new AbortController()
      const seen: LogLine[] = []
      const reading = (async () => {
        for await (const line of provider.logs({ ref: fn, follow: true }, abort.signal)) seen.push(line)
      })()
      await eventually(() => seen.length === 1)
      provider.note(fn, 'it cannot start\n→ do this')
      await eventually(() => seen.length === 3)
      abort.abort()
      await reading
      expect(seen.slice(1)).toMatchObject([
        { instance: 'faasdock', text: 'it cannot start' },
        { instance: 'faasdock', text: '→ do this' },
      ])
      const kept = await read(provider, { ref: fn, follow: false, instance: 'faasdock' })
      expect(kept.map(({ text }) => text)).toEqual(['it cannot start', '→ do this'])
      expect((await read(provider, { ref: other, follow: false })).map(({ text }) => text)).toEqual([
        'hello begins as hello',
      ])
      await Promise.all([provider.remove(fn), provider.remove(other)])
    })

    test('of a function that is not there are none', async () => {
      expect(
        await read(provider, { ref: { name: 'nobody', namespace: 'openfaas-fn' }, follow: false }),
      ).toEqual([])
    })
  })

  test('usage is measured in thousandths of a core and bytes', async () => {
    const fn = await deployed()
    const { cpuMillis, memoryBytes } = await provider.usage(fn)
    expect(cpuMillis).toBeGreaterThanOrEqual(0)
    expect(memoryBytes).toBeGreaterThanOrEqual(0)
    expect(await provider.usage({ name: 'nobody', namespace: 'openfaas-fn' })).toEqual({
      cpuMillis: 0,
      memoryBytes: 0,
    })
    await provider.remove(fn)
  })

  test('it says what it is', () => {
    expect(provider.info()).toMatchObject({
      name: contract.name,
      version: expect.stringMatching(/./) as string,
      architecture: expect.stringMatching(/./) as string,
    })
  })

  test('removing all leaves nothing', async () => {
    await using other = await contract.make({ startTimeoutMs: 60_000, drainMs: 1000 })
    const fns = [spec(), spec()]
    await Promise.all(fns.map((fn) => other.provider.deploy(revisionOf(fn), 2, never)))
    expect(other.provider.list()).toHaveLength(2)
    await other.provider.removeAll()
    expect(other.provider.list()).toEqual([])
    for (const fn of fns) {
      expect(other.provider.lease(fn)).toBeUndefined()
      if (other.count) expect(await other.count(fn)).toBe(0)
    }
  })
}

/** Ids of the ready replicas, found by leasing them all at once. */
function replicasOf(provider: Provider, ref: FunctionRef, count: number): string[] {
  const leases = Array.from({ length: count }, () => provider.lease(ref))
  const ids = leases.map((lease) => lease?.replica ?? '').sort()
  for (const lease of leases) lease?.[Symbol.dispose]()
  return ids
}

async function eachReplica(
  provider: Provider,
  ref: FunctionRef,
  count: number,
  work: (origin: string, index: number) => Promise<unknown>,
): Promise<string[]> {
  const leases = Array.from({ length: count }, () => provider.lease(ref) as Lease)
  await Promise.all(leases.map(({ origin }, index) => work(origin, index)))
  for (const lease of leases) lease[Symbol.dispose]()
  return leases.map(({ replica }) => replica)
}

function originOf(provider: Provider, ref: FunctionRef, replica: string): string {
  const leases = [provider.lease(ref), provider.lease(ref)]
  const found = leases.find((lease) => lease?.replica === replica)
  for (const lease of leases) lease?.[Symbol.dispose]()
  return found?.origin ?? ''
}

async function read(provider: Provider, query: Parameters<Provider['logs']>[0]): Promise<LogLine[]> {
  const lines: LogLine[] = []
  for await (const line of provider.logs(query, never)) lines.push(line)
  return lines
}

/** How many leases there are for each replica. */
function tally(leases: readonly Lease[]): number[] {
  const names = leases.map(({ replica }) => replica)
  return [...new Set(names)].map((name) => names.filter((other) => other === name).length)
}

/** Polls until it is so. */
async function eventually(
  look: () => boolean | Promise<boolean>,
  limitMs = 15_000,
  what = 'it',
): Promise<void> {
  await until(async () => (await look()) || undefined, { limitMs, what: () => what })
}
