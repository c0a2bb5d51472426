import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { CLI, startProgram } from '../program.mjs'
import { writeStack } from '../stack.mjs'
import { result } from '../statistics.mjs'

const SAMPLE = join(dirname(CLI), '../samples/mobile/mobile.yml')

/** How long things take until a user can use them, next to a bare `node` that only starts. */
export async function run({ quick }) {
  const times = quick ? 3 : 11
  const folder = mkdtempSync(join(tmpdir(), 'faasdock-bench-'))
  try {
    const bare = {
      name: 'node -e 0',
      samples: repeat(times, () => execFileSync(process.execPath, ['-e', '0'])),
    }
    const help = repeat(times, () => execFileSync(process.execPath, [CLI, '--help']))
    const gateway = await measureGateway(times, folder)
    const sample = await measureSample(quick ? 2 : 5, folder)
    const fifty = await measureFifty(quick ? 1 : 3, folder)
    return [
      result({ name: 'faasdock --help', unit: 'ms', samples: help, baseline: bare }),
      result({ name: 'gateway, start to ready', unit: 'ms', samples: gateway.ready, baseline: bare }),
      result({ name: 'gateway, resident memory when idle', unit: 'MB', samples: gateway.memory }),
      result({ name: 'mobile sample, start with nothing to build', unit: 'ms', samples: sample }),
      result({ name: '50 functions, first start to all ready', unit: 'ms', samples: fifty.first }),
      result({ name: '50 functions, next start to all ready', unit: 'ms', samples: fifty.next }),
      result({ name: '50 functions, GET /system/functions', unit: 'ms', samples: fifty.list }),
      result({ name: '50 functions, resident memory', unit: 'MB', samples: fifty.memory }),
      result({ name: '50 functions, Ctrl-C to gone', unit: 'ms', samples: fifty.stop }),
    ]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function repeat(times, work) {
  return Array.from({ length: times }, () => {
    const began = performance.now()
    work()
    return performance.now() - began
  })
}

async function measureGateway(times, folder) {
  const [ready, memory] = [[], []]
  for (let i = 0; i < times; i++) {
    const program = await startProgram(['serve', '--port', '0', '--data', join(folder, 'serve')])
    ready.push(program.milliseconds)
    await fetch(`${program.url}/system/functions`).then((answer) => answer.text())
    memory.push(program.residentMegabytes())
    await program.stop()
  }
  await removeKept(join(folder, 'serve'))
  return { ready, memory }
}

/** `serve` leaves its network for its functions; with the data directory gone it is nobody's. */
async function removeKept(dataDir) {
  rmSync(dataDir, { recursive: true, force: true })
  execFileSync(process.execPath, [CLI, 'gc', '--yes'], { stdio: 'ignore' })
}

/** The second `npm start`: images are there, containers are not. */
async function measureSample(times, folder) {
  const samples = []
  for (let i = 0; i <= times; i++) {
    const program = await startProgram(['dev', '-f', SAMPLE, '--port', '0', '--data', join(folder, 'sample')])
    // The first may have had to build.
    if (i > 0) samples.push(program.milliseconds)
    await program.stop()
  }
  return samples
}

async function measureFifty(times, folder) {
  const stack = writeStack(folder, 50)
  const samples = { first: [], next: [], list: [], memory: [], stop: [] }
  for (let i = 0; i < times; i++) {
    const dataDir = join(folder, `fifty-${i}`)
    for (const kind of ['first', 'next']) {
      const program = await startProgram(['dev', '-f', stack, '--port', '0', '--data', dataDir, '--no-watch'])
      const failed = program.functions.filter(({ state }) => state !== 'ready')
      if (failed.length > 0) throw new Error(`not ready: ${failed.map(({ name }) => name).join(', ')}`)
      samples[kind].push(program.milliseconds)
      if (kind === 'next') {
        for (let call = 0; call < 20; call++) {
          const began = performance.now()
          await fetch(`${program.url}/system/functions`).then((answer) => answer.json())
          samples.list.push(performance.now() - began)
        }
        samples.memory.push(program.residentMegabytes())
      }
      const began = performance.now()
      await program.stop()
      if (kind === 'next') samples.stop.push(performance.now() - began)
    }
  }
  return samples
}
