import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CLI, startProgram } from '../program.mjs'
import { result } from '../statistics.mjs'

const RATE = 10_000
const IMAGE = 'faasdock-bench-logs:latest'
/** What /proc counts processor time in. */
const TICKS = 100

/**
 * A function's log through the gateway next to `docker logs` of the same container, in the same run: a backlog read at
 * once, and ten thousand lines a second followed. A follower that misses a line, or gets one twice, fails the run.
 */
export async function run({ quick }) {
  const seconds = quick ? 4 : 12
  const rounds = quick ? 2 : 5
  const folder = mkdtempSync(join(tmpdir(), 'faasdock-bench-'))
  const data = join(folder, 'data')
  buildImage(folder)
  const program = await startProgram(['serve', '--port', '0', '--data', data])
  const { pid } = JSON.parse(readFileSync(join(data, 'owner.json'), 'utf8'))
  try {
    const container = await deploy(program.url)
    const logs = `${program.url}/system/logs?name=flood&tail=-1`
    const docker = (...args) => ['docker', ['logs', ...args, container]]
    const total = RATE * seconds

    const flood = fetch(`${program.url}/function/flood/?lines=${total}&rate=${RATE}`)
    const theirs = followDocker(...docker('-f'), total)
    const before = { cpu: processorMs(pid), memory: program.residentMegabytes() }
    const ours = await followGateway(`${logs}&follow=true`, total, () => program.residentMegabytes())
    const cpu = processorMs(pid) - before.cpu
    await (await flood).text()
    const { cpu: dockerCpu, repeated } = await theirs
    if (ours.faults > 0) throw new Error(`${ours.faults} of ${total} lines were lost or came twice`)
    console.log(
      `followed ${total} lines at ${RATE} a second: none lost, none twice (docker logs -f gave ${repeated} twice)`,
    )

    const backlog = { gateway: [], docker: [] }
    for (let round = 0; round < rounds; round++) {
      backlog.docker.push(await time(() => readAll(...docker())))
      backlog.gateway.push(await time(() => drain(logs)))
    }
    return [
      result({
        name: 'following, processor time per 10,000 lines',
        unit: 'ms',
        samples: [cpu / seconds],
        baseline: { name: 'docker logs -f', samples: [dockerCpu / seconds] },
      }),
      result({ name: 'following, line written to line read', unit: 'ms', samples: ours.lags }),
      result({
        name: 'following, growth of resident memory',
        unit: 'MB',
        samples: [Math.max(...ours.memory) - before.memory],
      }),
      result({
        name: 'backlog, all that the engine keeps',
        unit: 'ms',
        samples: backlog.gateway,
        baseline: { name: 'docker logs', samples: backlog.docker },
      }),
    ]
  } finally {
    await fetch(`${program.url}/system/functions`, {
      method: 'DELETE',
      body: JSON.stringify({ functionName: 'flood' }),
    })
    await program.stop()
    rmSync(folder, { recursive: true, force: true })
    execFileSync(process.execPath, [CLI, 'gc', '--yes'], { stdio: 'ignore' })
  }
}

function buildImage(folder) {
  const source = join(folder, 'flood')
  mkdirSync(source)
  writeFileSync(
    join(source, 'Dockerfile'),
    'FROM node:20-alpine\nCOPY server.js /\nCMD ["node", "/server.js"]\n',
  )
  writeFileSync(
    join(source, 'server.js'),
    `require('http').createServer((request, response) => {
  const query = new URL(request.url, 'http://here').searchParams
  const [lines, rate, begun] = [Number(query.get('lines')), Number(query.get('rate')), Date.now()]
  let next = 0
  const timer = lines > 0 && setInterval(() => {
    const due = Math.min(lines, Math.floor(((Date.now() - begun) / 1000) * rate))
    let text = ''
    while (next < due) text += 'flood ' + next++ + ' ' + 'x'.repeat(100) + '\\n'
    if (text) process.stdout.write(text)
    if (next >= lines) clearInterval(timer)
  }, 5)
  response.end('begun')
}).listen(8080)
process.on('SIGTERM', () => process.exit(0))
`,
  )
  execFileSync('docker', ['build', '-q', '-t', IMAGE, source], { stdio: 'ignore' })
}

async function deploy(url) {
  await fetch(`${url}/system/functions`, {
    method: 'POST',
    body: JSON.stringify({ service: 'flood', image: IMAGE }),
  })
  await fetch(`${url}/function/flood`).then((answer) => answer.text())
  const filters = ['--filter', 'label=com.faasdock.function=flood']
  return execFileSync('docker', ['ps', '-q', ...filters], { encoding: 'utf8' }).trim()
}

async function followGateway(url, total, memory) {
  const stop = new AbortController()
  const answer = await fetch(url, { signal: stop.signal })
  const seen = { faults: 0, lags: [], memory: [] }
  let [next, rest] = [0, '']
  const decoder = new TextDecoder()
  for await (const chunk of answer.body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop()
    const now = Date.now()
    for (const line of lines) {
      const { text, timestamp } = JSON.parse(line)
      if (!text.startsWith('flood ')) continue
      if (Number(text.split(' ')[1]) !== next) seen.faults++
      if (next % 1000 === 0) seen.lags.push(now - Date.parse(timestamp))
      if (next++ % RATE === 0) seen.memory.push(memory())
    }
    if (next >= total) break
  }
  stop.abort()
  return seen
}

/** What the Docker client takes for the same lines. */
async function followDocker(command, args, total) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  let [rest, repeated, most] = ['', 0, -1]
  for await (const chunk of child.stdout) {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      if (!line.startsWith('flood ')) continue
      const number = Number(line.split(' ')[1])
      if (number <= most) repeated++
      else most = number
    }
    if (most >= total - 1) break
  }
  const cpu = processorMs(child.pid)
  child.kill()
  return { cpu, repeated }
}

async function readAll(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  child.stdout.resume()
  await once(child, 'close')
}

async function drain(url) {
  for await (const _ of (await fetch(url)).body) continue
}

async function time(work) {
  const began = performance.now()
  await work()
  return performance.now() - began
}

function processorMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS
}
