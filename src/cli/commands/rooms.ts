import type { Context } from '../command.ts'
import type { HostFlags } from '../host-flags.ts'
import type { StackChoice } from '../../core/stack.ts'
import type { Toolbox } from '../../core/toolbox.ts'
import type { HostedApp } from '../rooms-contract.ts'

/** Rooms for local operations; only what a command loads is loaded. Dispose when done. */
export async function openToolbox({ io }: Context, engine?: string): Promise<Toolbox> {
  const create = io.rooms?.createToolbox ?? (await import('../../toolbox.ts')).createToolbox
  return create({ env: io.env, ...(engine === undefined ? {} : { engine }) })
}

/** A platform in this process. Stop it when done. PORT_TAKEN, DATA_LOCKED, ENGINE_NOT_FOUND, BAD_CONFIG. */
export async function openApp({ io }: Context, flags: HostFlags, stack?: StackChoice): Promise<HostedApp> {
  const settings = {
    env: io.env,
    cwd: io.cwd,
    flags: { ...flags },
    ...(stack === undefined ? {} : { stack }),
  }
  if (io.rooms?.createApp) return io.rooms.createApp(settings)
  const [{ readConfig }, { createApp }] = await Promise.all([
    import('../../config.ts'),
    import('../../app.ts'),
  ])
  return createApp(readConfig(settings))
}
