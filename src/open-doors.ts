import type { Closers } from './closers.ts'
import type { Config } from './config.ts'
import type { Log } from './core/log.ts'
import type { Login } from './core/login.ts'
import { listenForMetrics, listenOutside } from './gateway/listen.ts'
import type { Listening } from './gateway/listen-on.ts'
import { MetricsServer } from './gateway/metrics-server.ts'
import type { Metrics } from './gateway/metrics.ts'
import type { Gateway } from './gateway/server.ts'
import { portHolder as portHolderOf } from './setup/port-holder.ts'

/** Listens where clients call, and where metrics are read. */
export async function openDoors(
  config: Config,
  {
    gateway,
    metrics,
    asksOutside,
    log,
  }: { gateway: Gateway; metrics: Metrics; asksOutside: Login | undefined; log: Log },
  closers: Closers,
): Promise<Listening> {
  const { metricsPort } = config
  const outside = await listenOutside(gateway, { ...config, portHolder }, asksOutside, log)
  if (metricsPort === 'off') return outside
  const server = closers.use(new MetricsServer(metrics))
  await listenForMetrics(
    (host, port) => server.listen(host, port),
    { host: config.host, port: metricsPort, isPortGiven: config.isMetricsPortGiven, portHolder },
    log,
  )
  return outside
}

/** What keeps us from a port, as a person would look it up. */
async function portHolder(port: number, address: string): Promise<string | undefined> {
  const holder = await portHolderOf(port, address)
  return holder && `process ${holder.pid} (${holder.command})`
}
