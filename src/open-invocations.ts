import type { Config } from './config.ts'
import { systemClock } from './core/clock.ts'
import type { Log } from './core/log.ts'
import type { Login } from './core/login.ts'
import { InvocationLog } from './engine/invocation-log.ts'
import type { SqliteRegistry } from './registry/sqlite-registry.ts'

/** What keeps invocations; undefined when none are to be kept: what was kept before is deleted then. */
export function openInvocations(
  { record }: Config,
  registry: SqliteRegistry,
  login: Login | undefined,
  log: Log,
): InvocationLog | undefined {
  if (!record) {
    registry.dropInvocations()
    return undefined
  }
  const { secrets, namespaces } = registry
  const alsoSecret = login ? [login.password] : []
  const store = registry.keepInvocations()
  return new InvocationLog({ store, secrets, namespaces, alsoSecret, clock: systemClock, log })
}
