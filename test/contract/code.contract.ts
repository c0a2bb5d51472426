import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Code } from '../../src/core/code.ts'
import type { FunctionSpec, Revision } from '../../src/core/function.ts'
import type { Lease, Provider, ProviderEvent } from '../../src/core/provider.ts'
import { makeCode, revisionCode } from '../support/code.ts'
import type { Texts } from '../support/code.ts'
import { helloSpec, revisionOf } from '../support/hello.ts'
import { until, untilPasses } from '../support/until.ts'
import type { ProviderContract, ProviderUnderTest } from './provider.contract.ts'

/** Code that does not load, and what is said about it. */
interface BadCode {
  readonly files: Texts
  readonly message: RegExp
  /** Where the failure is, of those who can tell. */
  readonly place?: { readonly file: string; readonly line?: number }
}

export interface CodeContract {
  readonly make: ProviderContract['make']
  readonly image: string
  readonly way: Code['way']
  readonly folder: string
  /**
   * A function that answers with `{ word }`; to `/slow` after two seconds, to `/begun` with how many such calls have begun,
   * to `/extra` whether there is one more file, as `extra` says. The image has the one that says `image`.
   */
  readonly saying: (word: string, extra?: boolean) => Texts
  readonly bad: BadCode
  /** Code that ends its process as soon as it is loaded, however it defends itself. */
  readonly deadly?: BadCode
}

const never = new AbortController().signal

/** What src/core/provider.ts promises of revisions with code, for any provider. */
export function codeContract(contract: CodeContract): void {
  const { image, way, folder } = contract
  let under: ProviderUnderTest
  let provider: Provider

  beforeAll(async () => {
    under = await contract.make({ startTimeoutMs: 60_000, drainMs: 30_000 })
    provider = under.provider
  })
  afterAll(() => under[Symbol.asyncDispose]())

  const code = (files: Texts): Code => makeCode(files, { way, folder })
  const saying = (word: string, extra?: boolean): Code => code(contract.saying(word, extra))
  const inImage = saying('image')
  const swaps = way === 'swap'

  /** A function of its own, which is gone when the test ends. */
  interface Fn extends AsyncDisposable {
    readonly spec: FunctionSpec
    readonly deploy: (wanted: Code, replicas?: number, signal?: AbortSignal) => Promise<void>
    readonly revision: (wanted: Code) => Revision
    readonly ids: () => string[]
    readonly available: () => number | undefined
  }

  async function fn(replicas: number, wanted = inImage): Promise<Fn> {
    const spec = helloSpec(image)
    const bare = revisionOf(spec, await provider.resolveImage(image, never))
    const revision = (code: Code): Revision => ({ ...bare, code: revisionCode(code, inImage) })
    if (replicas > 0) await provider.deploy(revision(wanted), replicas, never)
    return {
      spec,
      revision,
      deploy: (code, count = replicas, signal = never) => provider.deploy(revision(code), count, signal),
      ids: () => eachLease(provider, spec).map(({ replica }) => replica),
      available: () => provider.actual(spec)?.available,
      [Symbol.asyncDispose]: () => provider.remove(spec),
    }
  }

  /** What every replica says, each asked once. */
  async function words(spec: FunctionSpec, path = '/'): Promise<unknown[]> {
    return Promise.all(eachLease(provider, spec).map(({ origin }) => said(origin, path)))
  }

  async function call(spec: FunctionSpec, path = '/'): Promise<unknown> {
    using lease = provider.lease(spec)
    if (!lease) throw new Error('no replica is ready')
    return await said(lease.origin, path)
  }

  test(`new code answers when the deploy resolves${swaps ? ', in the replicas that are there' : ''}`, async () => {
    await using one = await fn(3)
    expect(await words(one.spec)).toEqual(['image', 'image', 'image'])
    const before = one.ids()
    const events: ProviderEvent[] = []
    using _watch = provider.watch((event) => events.push(event))
    await one.deploy(saying('new'))
    expect(await words(one.spec)).toEqual(['new', 'new', 'new'])
    if (!swaps) {
      expect(one.ids().filter((id) => before.includes(id))).toEqual([])
      return
    }
    expect(one.ids()).toEqual(before)
    await one.deploy(saying('newer'))
    await one.deploy(inImage)
    expect(await words(one.spec)).toEqual(['image', 'image', 'image'])
    expect(events).toEqual([])
  })

  test('the code that is there changes nothing', async () => {
    await using one = await fn(2, saying('new'))
    const before = one.ids()
    await one.deploy(saying('new'))
    expect(one.ids()).toEqual(before)
    expect(await words(one.spec)).toEqual(['new', 'new'])
  })

  test('replicas that start get the code before anybody calls them: the first, more, others, and of another revision', async () => {
    await using one = await fn(1, saying('first'))
    expect(await words(one.spec)).toEqual(['first'])
    const heard = new Set<unknown>()
    await using _caller = calling(async () => heard.add(await call(one.spec)))
    await one.deploy(saying('first'), 3)
    expect(await words(one.spec)).toEqual(['first', 'first', 'first'])
    await under.crash(one.ids()[0] ?? '')
    await until(() => one.available() === 2)
    await one.deploy(saying('first'), 3)
    const next = { ...one.revision(saying('first')), id: `next${one.revision(inImage).id}` }
    await provider.deploy(next, 2, never)
    expect(await words(one.spec)).toEqual(['first', 'first'])
    expect([...heard].filter((word) => typeof word === 'string')).toEqual(['first'])
  })

  test('a call in flight ends with what it began with', async () => {
    await using one = await fn(1)
    const slow = call(one.spec, '/slow')
    await until(async () => (await call(one.spec, '/begun')) === 1)
    await one.deploy(saying('new'))
    expect(await call(one.spec)).toBe('new')
    expect(await slow).toBe('image')
  })

  test('of several codes under a constant stream of calls fails none and never turns back', async () => {
    await using one = await fn(2, saying('0'))
    let resolved = 0
    let calls = 0
    const faults: string[] = []
    {
      await using _callers = calling(async () => {
        const least = resolved
        const word = await call(one.spec).catch(String)
        calls++
        if (!(Number(word) >= least)) faults.push(`after ${least}: ${String(word)}`)
      }, 4)
      for (let next = 1; next <= (swaps ? 10 : 2); next++) {
        await one.deploy(saying(String(next)))
        resolved = next
        const enough = calls + 10
        await until(() => calls >= enough)
      }
    }
    expect(faults).toEqual([])
  })

  test('code that does not load is told with its place, and what ran before answers; good code then answers', async () => {
    await using one = await fn(3, saying('good'))
    const before = one.ids()
    const { files, message, place } = contract.bad
    await expect(one.deploy(code(files))).rejects.toMatchObject({
      code: 'CODE_NOT_LOADED',
      message: expect.stringMatching(message) as string,
      ...(place && { place: { ...place, file: `/source/${place.file}` } }),
    })
    expect(one.ids()).toEqual(before)
    expect(await words(one.spec)).toEqual(['good', 'good', 'good'])
    // What an engine does that keeps the last good code.
    await one.deploy(saying('good'))
    expect(one.ids()).toEqual(before)
    await one.deploy(saying('better'))
    expect(await words(one.spec)).toEqual(['better', 'better', 'better'])
  })

  test('a first revision whose code does not load leaves nothing', async () => {
    await using one = await fn(0)
    await expect(one.deploy(code(contract.bad.files), 2)).rejects.toMatchObject({
      code: expect.stringMatching(/CODE_NOT_LOADED|REPLICA_EXITED/) as string,
    })
    expect(provider.lease(one.spec)).toBeUndefined()
    expect(provider.actual(one.spec)?.replicas ?? 0).toBe(0)
  })

  const { deadly } = contract
  if (deadly)
    test('code that kills its process is found out with one replica, and what ran before answers', async () => {
      await using one = await fn(2, saying('good'))
      await expect(one.deploy(code(deadly.files))).rejects.toMatchObject({
        code: 'CODE_NOT_LOADED',
        message: expect.stringMatching(deadly.message) as string,
      })
      await until(() => one.available() === 2)
      expect(await words(one.spec)).toEqual(['good', 'good'])
      await one.deploy(saying('better'))
      expect(await words(one.spec)).toEqual(['better', 'better'])
    })

  test('a deploy that is given up for the next one leaves no doubt', async () => {
    await using one = await fn(3)
    for (let round = 0; round < (swaps ? 5 : 2); round++) {
      const abort = new AbortController()
      const given = one.deploy(saying(`given up ${round}`), 3, abort.signal).catch(String)
      await new Promise((resolve) => setTimeout(resolve, round * 3))
      abort.abort(new Error('saved again'))
      // It may have been through before it heard of it.
      expect([undefined, 'Error: saved again']).toContain(await given)
      await one.deploy(saying(`round ${round}`))
      expect(await words(one.spec)).toEqual(Array(3).fill(`round ${round}`))
    }
  })

  test('a replica that dies while it is given code is replaced by one that has it', async () => {
    await using one = await fn(1)
    const [victim = ''] = one.ids()
    await Promise.all([one.deploy(saying('new')), under.crash(victim)]).catch(() => undefined)
    await untilPasses(async () => {
      await one.deploy(saying('new'))
      expect(await words(one.spec)).toEqual(['new'])
    })
  })

  test('zero replicas and back: they run the code that is wanted then', async () => {
    await using one = await fn(2, saying('first'))
    await one.deploy(saying('first'), 0)
    expect(provider.lease(one.spec)).toBeUndefined()
    await one.deploy(saying('second'), 1)
    expect(await words(one.spec)).toEqual(['second'])
  })

  test('a revision that gets its code later goes on where its image has that code', async () => {
    await using one = await fn(0)
    const { code: _code, ...bare } = one.revision(inImage)
    await provider.deploy(bare, 1, never)
    const before = one.ids()
    await one.deploy(inImage, 1)
    expect(one.ids()).toEqual(before)
    await one.deploy(saying('new'), 1)
    expect(await words(one.spec)).toEqual(['new'])
    const then = one.ids()
    await one.deploy(saying('newer'), 1)
    expect(await words(one.spec)).toEqual(['newer'])
    if (swaps) expect(one.ids()).toEqual(then)
  })

  if (swaps)
    test('files that the code has no longer are gone, in every replica', async () => {
      await using one = await fn(1, saying('new', true))
      expect(await words(one.spec, '/extra')).toEqual([true])
      await one.deploy(saying('newer'))
      expect(await words(one.spec, '/extra')).toEqual([false])
      await one.deploy(saying('newest', true))
      expect(await words(one.spec, '/extra')).toEqual([true])
    })

  test('code that cannot be read changes nothing', async () => {
    await using one = await fn(1, saying('good'))
    const changed = saying('new')
    const files = new Map(
      [...changed.files].map(([path, file]) => [
        path,
        { ...file, read: () => Promise.reject(new Error('was changed meanwhile')) },
      ]),
    )
    await expect(one.deploy({ ...changed, files })).rejects.toThrow('was changed meanwhile')
    expect(await words(one.spec)).toEqual(['good'])
    await one.deploy(changed)
    expect(await words(one.spec)).toEqual(['new'])
  })
}

/** A lease on each ready replica, ended at once, in the order of their ids. */
function eachLease(provider: Provider, spec: FunctionSpec): Lease[] {
  const count = provider.actual(spec)?.available ?? 0
  const leases = Array.from({ length: count }, () => provider.lease(spec)).filter((one) => one !== undefined)
  for (const lease of leases) lease[Symbol.dispose]()
  return leases.toSorted((a, b) => (a.replica < b.replica ? -1 : 1))
}

async function said(origin: string, path: string): Promise<unknown> {
  const response = await fetch(origin + path)
  const text = await response.text()
  if (response.status !== 200) throw new Error(`status ${response.status}: ${text}`)
  return (JSON.parse(text) as { word: unknown }).word
}

/** Does `work` again and again, `count` at a time, until it is disposed. */
function calling(work: () => Promise<unknown>, count = 1): AsyncDisposable {
  let isOver = false
  const one = async (): Promise<void> => {
    while (!isOver) await work().catch(() => undefined)
  }
  const all = Array.from({ length: count }, one)
  return {
    [Symbol.asyncDispose]: async () => {
      isOver = true
      await Promise.all(all)
    },
  }
}
