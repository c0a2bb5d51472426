import { run } from './run.ts'
import type { Io, StopSignal } from './io.ts'

const SIGNALS: readonly StopSignal[] = ['SIGINT', 'SIGTERM', 'SIGHUP']

const io: Io = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  onSignal(onSignal) {
    for (const signal of SIGNALS) process.on(signal, onSignal)
    return {
      [Symbol.dispose]: () => {
        for (const signal of SIGNALS) process.off(signal, onSignal)
      },
    }
  },
  exit: (code) => process.exit(code),
}

// `faasdock logs | head`: the reader has enough. That is no failure of ours.
for (const output of [process.stdout, process.stderr])
  output.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })

process.exitCode = await run(process.argv.slice(2), io)
// Something may still hold the program, e.g. a standard input that nobody closes. A finished command ends.
setTimeout(() => process.exit(), 500).unref()
