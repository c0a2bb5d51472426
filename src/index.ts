export { createApp } from './app.ts'
export type { App, Parts } from './app.ts'
export { readConfig } from './config.ts'
export type { Config, ConfigSources } from './config.ts'
export type { Stack, StackChoice, StackFunction } from './core/stack.ts'
export { ERROR_CODES, FaasError } from './core/errors.ts'
export type { ErrorCode, ErrorDetails } from './core/errors.ts'
export type { Builder, BuildOptions, BuildResult, FunctionSource } from './core/builder.ts'
export type {
  FunctionPhase,
  FunctionRef,
  FunctionSpec,
  FunctionStatus,
  Problem,
  Revision,
} from './core/function.ts'
export type { Provider, ProviderEvent, Lease, LogLine, LogQuery } from './core/provider.ts'
export type { PlatformEvent, StampedEvent } from './engine/events.ts'
export type { Transport } from './core/invocation.ts'
export type { Watcher } from './core/watcher.ts'
