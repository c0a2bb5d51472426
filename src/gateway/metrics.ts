import { Counter, Gauge, Histogram, Registry as MetricsRegistry } from 'prom-client'
import { formatRef } from '../core/function.ts'
import type { InvocationObserver } from '../core/invocation.ts'
import type { Functions } from '../engine/functions.ts'

interface Outcome {
  readonly total: Counter.Internal
  readonly seconds: Histogram.Internal<string>
}

/** The gateway's metrics, by OpenFaaS's names, labels and buckets (contract 9.2). */
export class Metrics implements InvocationObserver {
  readonly #registry = new MetricsRegistry()
  readonly #started: Counter<'function_name'>
  readonly #total: Counter<'function_name' | 'code'>
  readonly #seconds: Histogram<'function_name' | 'code'>
  /** Label look-ups cost more than counting: each pair of function and code is looked up once. */
  readonly #outcomes = new Map<string, Map<number, Outcome>>()
  readonly #starts = new Map<string, Counter.Internal>()

  constructor(functions: () => Functions) {
    const registers = [this.#registry]
    this.#started = new Counter({
      name: 'gateway_function_invocation_started',
      help: 'Invocations begun',
      labelNames: ['function_name'],
      registers,
    })
    this.#total = new Counter({
      name: 'gateway_function_invocation_total',
      help: 'Invocations ended, by status',
      labelNames: ['function_name', 'code'],
      registers,
    })
    this.#seconds = new Histogram({
      name: 'gateway_functions_seconds',
      help: 'Duration of invocations',
      labelNames: ['function_name', 'code'],
      registers,
    })
    new Gauge({
      name: 'gateway_service_count',
      help: 'Replicas wanted',
      labelNames: ['function_name'],
      registers,
      collect() {
        this.reset()
        for (const { spec, replicas } of functions().list())
          this.set({ function_name: formatRef(spec) }, replicas)
      },
    })
  }

  started(functionName: string): void {
    let counter = this.#starts.get(functionName)
    if (!counter) this.#starts.set(functionName, (counter = this.#started.labels(functionName)))
    counter.inc()
  }

  finished(functionName: string, status: number, seconds: number): void {
    let byStatus = this.#outcomes.get(functionName)
    if (!byStatus) this.#outcomes.set(functionName, (byStatus = new Map<number, Outcome>()))
    let outcome = byStatus.get(status)
    if (!outcome) {
      const code = String(status)
      outcome = {
        total: this.#total.labels(functionName, code),
        seconds: this.#seconds.labels(functionName, code),
      }
      byStatus.set(status, outcome)
    }
    outcome.total.inc()
    outcome.seconds.observe(seconds)
  }

  /** A function that is gone leaves no series behind. */
  forget(functionName: string): void {
    for (const status of this.#outcomes.get(functionName)?.keys() ?? []) {
      const labels = { function_name: functionName, code: String(status) }
      this.#total.remove(labels)
      this.#seconds.remove(labels)
    }
    this.#started.remove({ function_name: functionName })
    this.#outcomes.delete(functionName)
    this.#starts.delete(functionName)
  }

  /** Prometheus text. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  get contentType(): string {
    return this.#registry.contentType
  }
}
