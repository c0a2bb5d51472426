import type { FunctionRef, FunctionStatus } from '../core/function.ts'
import type { StackChoice } from '../core/stack.ts'
import type { Toolbox, ToolboxOptions } from '../core/toolbox.ts'
import type { StampedEvent } from '../engine/events.ts'

/** What commands need beyond a gateway: an engine for builds and clean-up, or a platform of their own. */
export interface Rooms {
  createToolbox(options: ToolboxOptions): Promise<Toolbox>
  createApp(settings: HostSettings): Promise<HostedApp>
}

/** What the flags of `dev` and `serve` ask for. */
export interface HostSettings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  readonly flags: Readonly<Record<string, string | number | boolean>>
  /** Built, deployed and, unless `flags.watch` is false, watched: `dev`. Read again whenever it is saved. */
  readonly stack?: StackChoice
}

/** A platform in this process. */
export interface HostedApp extends AsyncDisposable {
  /** `http://127.0.0.1:8080` */
  readonly url: string
  /** What the gateway asks for at `url`; absent when it asks for nothing. Never shown. */
  readonly login?: { readonly user: string; readonly password: string }
  readonly instance: string
  readonly dataDir: string
  /** They run on when this ends and nobody asks otherwise. */
  readonly keepsFunctions: boolean
  readonly events: {
    watch(watcher: (event: StampedEvent) => void, since?: number): Disposable
  }
  readonly functions: {
    list(namespace?: string): readonly FunctionStatus[]
    /** Functions of the stack that there is nothing of yet, since their source cannot be used. */
    undeployed(): readonly { readonly ref: FunctionRef }[]
  }
  /** The loop that builds and deploys the stack; absent without one. */
  readonly dev?: {
    /** Resolves when every function of the stack is ready or has failed for the first time. */
    settled(): Promise<void>
    /** Builds and deploys again; `name.namespace`, or all functions when none is named. */
    rebuild(name?: string): void
  }
  stop(options: { removeFunctions: boolean }): Promise<void>
}
