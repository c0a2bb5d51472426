// What has to happen between `git clone` and running anything. Plain Node: nothing is installed yet.
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compile, isBuilt } from './bootstrap/compile.mjs'
import { decide, ensureDependencies } from './bootstrap/dependencies.mjs'
import { oneAtATime } from './bootstrap/one-at-a-time.mjs'
import { announce, ToolFailed } from './bootstrap/run-tool.mjs'

/** The repository's folder. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

/** Dependencies and build, each only when something changed since the last time. Ends the program with a message when it cannot be done. */
export async function bootstrap() {
  try {
    if (decide(ROOT).action === 'nothing' && isBuilt(ROOT)) return
    await oneAtATime(ROOT, async () => {
      await ensureDependencies(ROOT)
      await compile(ROOT)
    })
  } catch (error) {
    if (!(error instanceof ToolFailed)) throw error
    announce(error.message)
    process.exit(1)
  }
}
