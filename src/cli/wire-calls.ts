/** An async call, as the gateway tells of it. Times are RFC 3339. */
export interface WireCall {
  readonly id: string
  readonly name: string
  readonly namespace: string
  readonly queue: string
  readonly path: string
  readonly state: 'queued' | 'running' | 'waiting' | 'succeeded' | 'failed' | 'dead' | 'cancelled'
  readonly queuedAt: string
  readonly startedAt?: string
  readonly endedAt?: string
  readonly nextAttemptAt?: string
  readonly attempts: number
  readonly status?: number
  readonly problem?: string
  readonly history: readonly WireAttempt[]
  readonly callback?: {
    readonly url: string
    readonly state: string
    readonly attempts: number
    readonly status?: number
    readonly problem?: string
  }
}

interface WireAttempt {
  readonly at: string
  readonly seconds: number
  readonly status: number
  readonly problem?: string
}

export interface WireDeadCall {
  readonly id: string
  readonly name: string
  readonly namespace: string
  readonly path: string
  readonly queuedAt: string
  readonly diedAt: string
  readonly reason: string
  readonly bodyBytes: number
  readonly history: readonly WireAttempt[]
  readonly answer?: { readonly status: number; readonly text: string }
}

export interface WireQueue {
  readonly state: 'ready' | 'unavailable'
  readonly problem?: { readonly code: string; readonly message: string; readonly remedy: string }
  readonly functions: readonly {
    readonly name: string
    readonly namespace: string
    readonly queue: string
    readonly depth: number
    readonly running: number
    readonly maxInflight: number
    readonly oldestQueuedAt?: string
    readonly paused: boolean
    readonly dead: number
  }[]
  readonly callbacks: number
  readonly paused: readonly string[]
}
