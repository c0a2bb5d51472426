import { Counter, Gauge, Histogram, Registry as MetricsRegistry } from 'prom-client'
import { formatRef } from '../core/function.ts'
import type { InvocationObserver } from '../core/invocation.ts'
import type { Functions } from '../engine/functions.ts'
import { minReplicas, targetLoad } from '../engine/scale-labels.ts'

interface Outcome {
  readonly total: Counter.Internal
  readonly seconds: Histogram.Internal<string>
}

interface Running {
  readonly started: Counter.Internal
  calls: number
}

/** The gateway's metrics, by OpenFaaS's names, labels and buckets (contract 9.2). */
export class Metrics implements InvocationObserver {
  readonly #registry = new MetricsRegistry()
  readonly #others: (() => Promise<string>)[] = []
  readonly #functions: () => Functions
  readonly #started = this.#counter('gateway_function_invocation_started', 'Invocations begun', [
    'function_name',
  ])
  readonly #total = this.#counter('gateway_function_invocation_total', 'Invocations ended, by status', [
    'function_name',
    'code',
  ])
  readonly #seconds = this.#histogram('gateway_functions_seconds', 'Duration of invocations', [
    'function_name',
    'code',
  ])
  readonly #inflight = this.#gauge('gateway_function_invocation_inflight', 'Invocations under way', [
    'function_name',
  ])
  readonly #count = this.#gauge('gateway_service_count', 'Replicas wanted', ['function_name'])
  readonly #ready = this.#gauge('gateway_service_ready_count', 'Replicas that answer', ['function_name'])
  readonly #min = this.#gauge('gateway_service_min', 'Fewest replicas, by label', ['function_name'])
  readonly #target = this.#gauge('gateway_service_target_load', 'Load that one replica should carry', [
    'function_name',
    'scaling_type',
  ])
  readonly #asked = this.#counter('http_requests_total', 'Requests of the control routes', [
    'method',
    'path',
    'status',
  ])
  readonly #askedSeconds = this.#histogram('http_request_duration_seconds', 'Duration of control requests', [
    'method',
    'path',
    'status',
  ])
  // Gateway and provider are one program here: what the one is asked is what the other is.
  readonly #provided = this.#counter('provider_http_requests_total', 'Requests of the control routes', [
    'code',
    'method',
    'path',
  ])
  readonly #providedSeconds = this.#histogram(
    'provider_http_request_duration_seconds',
    'Duration of control requests',
    ['code', 'method', 'path'],
  )
  /** Label look-ups cost more than counting: each pair of function and code is looked up once. */
  readonly #outcomes = new Map<string, Map<number, Outcome>>()
  readonly #running = new Map<string, Running>()

  constructor(functions: () => Functions) {
    this.#functions = functions
  }

  started(functionName: string): void {
    let running = this.#running.get(functionName)
    if (!running) {
      running = { started: this.#started.labels(functionName), calls: 0 }
      this.#running.set(functionName, running)
    }
    running.started.inc()
    running.calls++
  }

  finished(functionName: string, status: number, seconds: number): void {
    const running = this.#running.get(functionName)
    // A call may outlive its function, whose series are gone then and must not come back.
    if (!running) return
    if (running.calls > 0) running.calls--
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

  /** A request of a control route was answered. `path` is the route's, not the caller's. */
  asked(method: string, path: string, status: number, seconds: number): void {
    const code = String(status)
    this.#asked.labels(method, path, code).inc()
    this.#askedSeconds.labels(method, path, code).observe(seconds)
    this.#provided.labels(code, method, path).inc()
    this.#providedSeconds.labels(code, method, path).observe(seconds)
  }

  /** A function that is gone leaves no series behind. */
  forget(functionName: string): void {
    const labels = { function_name: functionName }
    for (const status of this.#outcomes.get(functionName)?.keys() ?? []) {
      this.#total.remove({ ...labels, code: String(status) })
      this.#seconds.remove({ ...labels, code: String(status) })
    }
    this.#started.remove(labels)
    this.#outcomes.delete(functionName)
    this.#running.delete(functionName)
  }

  /** Metrics of others, shown behind ours. */
  also(text: () => Promise<string>): void {
    this.#others.push(text)
  }

  /** Prometheus text. */
  async text(): Promise<string> {
    this.#look()
    return [
      await this.#registry.metrics(),
      ...(await Promise.all(this.#others.map((other) => other()))),
    ].join('\n')
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** What is wanted and there right now; nothing that was. */
  #look(): void {
    for (const gauge of [this.#inflight, this.#count, this.#ready, this.#min, this.#target]) gauge.reset()
    for (const { spec, replicas, availableReplicas } of this.#functions().list()) {
      const name = formatRef(spec)
      const { target, type } = targetLoad(spec)
      this.#inflight.labels(name).set(this.#running.get(name)?.calls ?? 0)
      this.#count.labels(name).set(replicas)
      this.#ready.labels(name).set(availableReplicas)
      this.#min.labels(name).set(minReplicas(spec))
      this.#target.labels(name, type).set(target)
    }
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[]): Counter<T> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] })
  }

  #gauge<T extends string>(name: string, help: string, labelNames: T[]): Gauge<T> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry] })
  }

  /** With the default buckets, .005 … 10, as OpenFaaS's. */
  #histogram<T extends string>(name: string, help: string, labelNames: T[]): Histogram<T> {
    return new Histogram({ name, help, labelNames, registers: [this.#registry] })
  }
}
