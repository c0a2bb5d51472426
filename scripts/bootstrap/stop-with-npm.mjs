import { constants } from 'node:os'

const LOOK_EVERY_MS = 500

/**
 * npm runs a script through a shell and hands a SIGTERM on to that shell only, which ends and leaves its program
 * running with nobody to stop it. So the program notices that its shell is gone, and stops as if it had got the
 * signal itself; not when it is stopping already, because a second signal means "at once".
 */
export function stopWithNpm() {
  if (process.env.npm_lifecycle_event === undefined || process.platform === 'win32') return
  const parent = process.ppid
  let stopping = false
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      stopping = true
      // Nobody else listens yet, or any more: then the signal does what it always does.
      if (process.listenerCount(signal) === 1) process.exit(128 + constants.signals[signal])
    })
  }
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    if (!stopping) process.kill(process.pid, 'SIGTERM')
  }, LOOK_EVERY_MS)
  timer.unref()
}
