import type { Server } from 'node:http'

/** How often connections are looked at that became idle. Milliseconds. */
const LOOK_MS = 25

/**
 * Takes no new connection, waits until the answers under way have ended, at most `limitMs`, and closes the rest.
 * Node closes only the connections that are idle when it is told: one that ends its answer later would be kept alive,
 * and waited for, until the client lets go of it.
 */
export async function drainServer(server: Server, limitMs: number): Promise<void> {
  const done = new Promise((resolve) => server.close(resolve))
  const look = setInterval(() => server.closeIdleConnections(), LOOK_MS)
  const limit = setTimeout(() => server.closeAllConnections(), limitMs)
  server.closeIdleConnections()
  await done
  clearInterval(look)
  clearTimeout(limit)
}
