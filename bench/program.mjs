import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const CLI = join(dirname(fileURLToPath(import.meta.url)), '../bin/faasdock.js')

/** Runs the program until it says that it is up. `stop()` is a Ctrl-C and resolves when everything is gone. */
export async function startProgram(args, env = {}) {
  const began = performance.now()
  const child = spawn(process.execPath, [CLI, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  const events = []
  const started = await new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the program ended with ${code} before it was up`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = JSON.parse(line)
      events.push(event)
      if (event.type === 'start.done') resolve(event)
    })
  })
  return {
    ...started,
    events,
    pid: child.pid,
    milliseconds: performance.now() - began,
    residentMegabytes: () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024,
    stop: async () => {
      child.kill('SIGINT')
      await exited
    },
  }
}
