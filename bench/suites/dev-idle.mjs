import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import Docker from 'dockerode'
import { startProgram } from '../program.mjs'
import { result } from '../statistics.mjs'

const IMAGE = `faasdock-bench-idle:bench-${process.pid}`
/** Files of each handler, besides those that make it answer. */
const FILES = 10
/** Until what belongs to the start is over. */
const SETTLE_MS = 20_000
const TICKS_PER_SECOND = 100

/** What a `dev` costs that watches many deployed functions while nobody saves or calls, next to what it may cost. */
export async function run({ quick }) {
  const [count, seconds, rounds] = quick ? [20, 5, 1] : [200, 60, 3]
  const folder = mkdtempSync(join(tmpdir(), 'faasdock-bench-'))
  const file = writeProject(folder, count)
  const program = await startProgram(['dev', '-f', file, '--port', '0', '--data', join(folder, 'data')])
  try {
    const failed = program.functions.filter(({ state }) => state !== 'ready')
    if (failed.length > 0) throw new Error(`not ready: ${failed.map(({ name }) => name).join(', ')}`)
    await wait(SETTLE_MS)
    const [percent, memory] = [[], []]
    for (let round = 0; round < rounds; round++) {
      percent.push(await cpuPercent(program.pid, seconds))
      memory.push(program.residentMegabytes())
    }
    const bar = (what, value) => ({ name: what, samples: [value] })
    return [
      result({
        name: `${count} functions watched, CPU when idle`,
        unit: '% of one core',
        samples: percent,
        baseline: bar('allowed', 1),
      }),
      result({
        name: `${count} functions watched, resident memory`,
        unit: 'MB',
        samples: memory,
        baseline: bar('allowed', 150),
      }),
    ]
  } finally {
    await program.stop()
    rmSync(folder, { recursive: true, force: true })
    await new Docker()
      .getImage(IMAGE)
      .remove({ force: true })
      .catch(() => undefined)
  }
}

function writeProject(folder, count) {
  const names = Array.from({ length: count }, (_, i) => `fn-${i}`)
  for (const name of names) {
    mkdirSync(join(folder, name, 'lib'), { recursive: true })
    writeFileSync(
      join(folder, name, 'Dockerfile'),
      'FROM node:20-alpine\nCOPY . /srv/\nUSER 1000\nCMD ["node", "/srv/server.js"]\n',
    )
    writeFileSync(
      join(folder, name, 'server.js'),
      "require('http').createServer((_, answer) => answer.end('hello')).listen(8080)\nprocess.on('SIGTERM', () => process.exit(0))\n",
    )
    for (let i = 0; i < FILES; i++)
      writeFileSync(join(folder, name, 'lib', `${i}.js`), `module.exports = ${i}\n`)
  }
  const functions = names.map(
    (name) => `  ${name}:\n    lang: dockerfile\n    handler: ./${name}\n    image: ${IMAGE}\n`,
  )
  const file = join(folder, 'stack.yml')
  writeFileSync(file, `version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n${functions.join('')}`)
  return file
}

/** Of one core, in user and system mode, over so many seconds. */
async function cpuPercent(pid, seconds) {
  const [ticks, began] = [ticksOf(pid), performance.now()]
  await wait(seconds * 1000)
  return ((ticksOf(pid) - ticks) / TICKS_PER_SECOND / ((performance.now() - began) / 1000)) * 100
}

/** Behind the name, which may contain anything: state is the first field, utime and stime are the 12th and 13th. */
function ticksOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return Number(fields[11]) + Number(fields[12])
}
