// `npm start`: set-up, then the sample application under `faasdock dev`. Arguments go to `dev`: npm start -- --port 9000
import { spawn } from 'node:child_process'
import { writeSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bootstrap, ROOT } from './bootstrap.mjs'
import { stopWithNpm } from './bootstrap/stop-with-npm.mjs'

const cli = join(ROOT, 'bin/faasdock.js')
const args = process.argv.slice(2)
const stack = stackOf(args)

await bootstrap()
await setUp(['setup', ...stack, ...valueOf(args, '--engine')])

const { engineFarewell } = await import('../dist/setup/engine-note.js')
process.once('exit', () => {
  const farewell = engineFarewell(performance.timeOrigin)
  if (farewell !== undefined) writeSync(2, `${farewell}\n`)
})

// In this very process: one program less in memory, and a Ctrl-C or a kill meets `dev` and nothing in between.
stopWithNpm()
process.argv = [process.execPath, cli, 'dev', ...stack, ...args]
await import(pathToFileURL(cli).href)

/** The sample, unless a stack file is given. */
function stackOf(given) {
  const own = given.some((arg) => /^(-f|--yaml)(=|$)/.test(arg) || /^-f./.test(arg))
  return own ? [] : ['-f', join(ROOT, 'samples/mobile/mobile.yml')]
}

function valueOf(given, flag) {
  const at = given.findIndex((arg) => arg === flag || arg.startsWith(`${flag}=`))
  if (at < 0) return []
  return given[at].includes('=') ? [given[at]] : given.slice(at, at + 2)
}

/** Runs a command of ours to its end; when it fails, so do we. Its words go to stderr: stdout is for what `dev` says. */
function setUp(command) {
  const child = spawn(process.execPath, [cli, ...command], { stdio: ['inherit', 2, 2] })
  const forward = (signal) => child.kill(signal)
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, forward)
  return new Promise((resolve) => {
    child.once('close', (status, signal) => {
      for (const name of signals) process.off(name, forward)
      if (status === 0) resolve()
      else process.exit(status ?? 128 + (constants.signals[signal] ?? 0))
    })
  })
}
