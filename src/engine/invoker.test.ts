import { expect, test } from 'vitest'
import { settle } from '../../test/support/fake-clock.ts'
import { makePlatform, specOf, steeredImage } from '../../test/support/platform.ts'
import type { TestPlatform } from '../../test/support/platform.ts'
import { FaasError } from '../core/errors.ts'
import type { InvocationSink, ResponseSink, Staleness, Transport } from '../core/invocation.ts'
import type { Lease } from '../core/provider.ts'
import { Invoker } from './invoker.ts'

const never = new AbortController().signal
const waitTimeoutMs = 60_000
const request = { method: 'POST', path: '/', headers: [], body: null }
const unreachable = (): FaasError =>
  new FaasError('FUNCTION_UNREACHABLE', { message: 'connection refused', remedy: '-' })

type Try = (sink: ResponseSink) => FaasError | undefined

/** A transport that does, at each try, what the test says; the last of it again and again. */
function makeTransport(tries: readonly Try[], isNeverSent = true): { transport: Transport; leases: Lease[] } {
  const leases: Lease[] = []
  const transport: Transport = {
    send: (lease, _request, sink) => {
      const error = (tries[Math.min(leases.length, tries.length - 1)] as Try)(sink)
      leases.push(lease)
      return error ? Promise.reject(error) : Promise.resolve()
    },
    wasNeverSent: () => isNeverSent,
    forget: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  return { transport, leases }
}

class Sink implements InvocationSink {
  status = 0
  failure: unknown
  stale: Staleness | undefined
  onStale(why: Staleness | undefined): void {
    this.stale = why
  }
  onHead(status: number): void {
    this.status = status
  }
  onData(): boolean {
    return true
  }
  onEnd(): void {
    // Nothing is kept of it.
  }
  onFailure(error: unknown): number {
    this.failure = error
    return 502
  }
}

const answer: Try = (sink) => {
  sink.onHead(200, 'OK', [], () => undefined)
  return undefined
}

async function invoke(
  platform: TestPlatform,
  transport: Transport,
): Promise<{ sink: Sink; seen: [string, number, number][]; started: string[] }> {
  const spec = specOf('hello', 'image')
  await platform.functions.deploy(spec).settled
  const seen: [string, number, number][] = []
  const started: string[] = []
  const observer = {
    started: (name: string) => void started.push(name),
    finished: (name: string, status: number, seconds: number) => void seen.push([name, status, seconds]),
  }
  const { router, clock } = platform
  const sink = new Sink()
  const invoker = new Invoker({ router, transport, observers: [observer], clock, waitTimeoutMs })
  const watched = { isOver: false }
  const call = invoker.invoke(spec, request, sink, never).finally(() => (watched.isOver = true))
  await settle()
  // Between tries it pauses.
  while (!watched.isOver) await clock.advance(50)
  await call
  // Every lease was given back: the replica is idle, so a removal does not wait.
  await platform.functions.remove(spec).settled
  return { sink, seen, started }
}

test('a call is counted once, with its status, and its lease given back', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const { transport, leases } = makeTransport([answer])
  const { sink, seen, started } = await invoke(platform, transport)
  expect(leases).toHaveLength(1)
  expect(sink.failure).toBeUndefined()
  expect(started).toEqual(['hello.openfaas-fn'])
  expect(seen).toEqual([['hello.openfaas-fn', 200, 0]])
})

test('a request that was never sent is sent again, to whichever replica is ready then', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const { transport, leases } = makeTransport([unreachable, unreachable, answer])
  const { sink, seen } = await invoke(platform, transport)
  expect(leases).toHaveLength(3)
  expect(sink).toMatchObject({ status: 200, failure: undefined })
  expect(seen).toEqual([['hello.openfaas-fn', 200, 0.1]])
})

test('it is tried for ten seconds, not for ever', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const { transport, leases } = makeTransport([unreachable])
  const { sink, seen } = await invoke(platform, transport)
  expect(leases).toHaveLength(201)
  expect(sink.failure).toMatchObject({ code: 'FUNCTION_UNREACHABLE' })
  expect(seen).toEqual([['hello.openfaas-fn', 502, 10]])
})

test('a request that may have been seen is never sent again', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const { transport, leases } = makeTransport([unreachable, answer], false)
  const { sink } = await invoke(platform, transport)
  expect(leases).toHaveLength(1)
  expect(sink.failure).toMatchObject({ code: 'FUNCTION_UNREACHABLE' })
})

test('an answer that had begun is never begun again', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const { transport, leases } = makeTransport([
    (sink) => {
      sink.onHead(200, 'OK', [], () => undefined)
      return unreachable()
    },
  ])
  const { sink } = await invoke(platform, transport)
  expect(leases).toHaveLength(1)
  expect(sink.failure).toMatchObject({ code: 'FUNCTION_UNREACHABLE' })
})

test('a function that is not there is a failure of the call, not of the invoker', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const { transport, leases } = makeTransport([answer])
  const sink = new Sink()
  const { router, clock } = platform
  const invoker = new Invoker({ router, transport, observers: [platform.counts], clock, waitTimeoutMs })
  await invoker.invoke(specOf('nobody', 'image'), request, sink, never)
  expect(leases).toEqual([])
  expect(sink.failure).toMatchObject({ code: 'FUNCTION_NOT_FOUND' })
})

test('a call of a function that was just saved waits for the new code, and is not marked', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const { gate, clock } = platform
  const { transport, leases } = makeTransport([answer])
  const spec = specOf('hello', 'image')
  await platform.functions.deploy(spec).settled
  const sink = new Sink()
  const invoker = new Invoker({ router: platform.router, transport, observers: [], clock, waitTimeoutMs })
  gate.hold(spec)
  const call = invoker.invoke(spec, request, sink, never)
  await clock.advance(1000)
  expect(leases).toEqual([])
  gate.open(spec)
  await call
  expect(sink).toMatchObject({ status: 200, failure: undefined, stale: undefined })
})

test.each(['building', 'failing'] as const)(
  'a call that the older code has to answer is marked as %s',
  async (why) => {
    await using platform = await makePlatform({ image: steeredImage() })
    const { gate, clock } = platform
    const { transport } = makeTransport([answer])
    const spec = specOf('hello', 'image')
    await platform.functions.deploy(spec).settled
    const sink = new Sink()
    const invoker = new Invoker({ router: platform.router, transport, observers: [], clock, waitTimeoutMs })
    gate.hold(spec)
    const call = invoker.invoke(spec, request, sink, never)
    if (why === 'building') await clock.advance(2000)
    else gate.fail(spec)
    await call
    expect(sink).toMatchObject({ status: 200, failure: undefined, stale: why })
  },
)

test('a call that is sent again after the new code came is not marked for its first try', async () => {
  await using platform = await makePlatform({ image: steeredImage() })
  const { gate, clock } = platform
  const spec = specOf('hello', 'image')
  await platform.functions.deploy(spec).settled
  gate.fail(spec)
  const { transport } = makeTransport([
    () => {
      gate.open(spec)
      return unreachable()
    },
    answer,
  ])
  const sink = new Sink()
  const invoker = new Invoker({ router: platform.router, transport, observers: [], clock, waitTimeoutMs })
  const call = invoker.invoke(spec, request, sink, never)
  await settle()
  await clock.advance(50)
  await call
  expect(sink).toMatchObject({ status: 200, stale: undefined })
})
