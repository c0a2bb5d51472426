import { Counter, Gauge, Registry as MetricsRegistry } from 'prom-client'
import { formatRef } from '../core/function.ts'
import type { AsyncCalls, FunctionQueue } from '../engine/async-calls.ts'
import type { CallObserver } from '../engine/queue-worker.ts'

/** The queue worker's metrics by OpenFaaS' names (contract 3.4), and how deep and how old the queue of each function is. */
export class QueueMetrics implements CallObserver {
  readonly #registry = new MetricsRegistry()
  readonly #calls: () => AsyncCalls
  readonly #submitted: Counter<'queue_name'>
  readonly #ended: Counter<'queue_name' | 'outcome'>
  /** Label look-ups cost more than counting: each pair of queue and outcome is looked up once. */
  readonly #outcomes = new Map<string, Counter.Internal>()
  readonly #pending: Gauge<'queue_name'>
  readonly #inflight: Gauge<'function_name'>
  readonly #depth: Gauge<'function_name'>
  readonly #oldest: Gauge<'function_name'>
  readonly #dead: Gauge<'function_name'>

  constructor(calls: () => AsyncCalls) {
    this.#calls = calls
    const registers = [this.#registry]
    this.#submitted = new Counter({
      name: 'queue_worker_messages_submitted_total',
      help: 'Async calls that were queued',
      labelNames: ['queue_name'],
      registers,
    })
    this.#ended = new Counter({
      name: 'queue_worker_messages_processed_total',
      help: 'Attempts at async calls that have ended, by outcome',
      labelNames: ['queue_name', 'outcome'],
      registers,
    })
    const gauge = <T extends string>(name: string, help: string, label: T): Gauge<T> =>
      new Gauge({ name, help, labelNames: [label], registers })
    this.#pending = gauge('queue_worker_pending_messages', 'Async calls that are not done', 'queue_name')
    this.#inflight = gauge(
      'queue_worker_function_invocation_inflight',
      'Async calls under way',
      'function_name',
    )
    this.#depth = gauge('faasdock_queue_depth', 'Async calls that are not done', 'function_name')
    this.#oldest = gauge('faasdock_queue_oldest_seconds', 'Age of the oldest call', 'function_name')
    this.#dead = gauge('faasdock_queue_dead_letters', 'Calls that were given up', 'function_name')
  }

  submitted(queue: string): void {
    this.#submitted.inc({ queue_name: queue })
  }

  attempted(queue: string, outcome: string): void {
    const name = `${outcome} ${queue}`
    let ended = this.#outcomes.get(name)
    if (!ended) this.#outcomes.set(name, (ended = this.#ended.labels(queue, outcome)))
    ended.inc()
  }

  /** Prometheus text. A queue that cannot be asked leaves its depths out. */
  async text(): Promise<string> {
    const functions = await this.#calls()
      .functions()
      .catch(() => [])
    this.#gauge(functions)
    return this.#registry.metrics()
  }

  #gauge(functions: readonly FunctionQueue[]): void {
    for (const gauge of [this.#pending, this.#inflight, this.#depth, this.#oldest, this.#dead]) gauge.reset()
    const now = Date.now()
    for (const { ref, queue, depth, running, oldestQueuedAt, dead } of functions) {
      const labels = { function_name: formatRef(ref) }
      this.#pending.inc({ queue_name: queue }, depth)
      this.#inflight.set(labels, running)
      this.#depth.set(labels, depth)
      this.#oldest.set(labels, oldestQueuedAt === undefined ? 0 : (now - oldestQueuedAt) / 1000)
      this.#dead.set(labels, dead)
    }
  }
}
