import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import Docker from 'dockerode'
import { CLI } from '../program.mjs'
import { result } from '../statistics.mjs'

const BENCH = join(dirname(CLI), '../bench')
const TEMPLATES = join(dirname(CLI), '../templates')
const TOKEN = 'bench'
const docker = new Docker()

/**
 * Each runtime that starts, serves and swaps by itself. A new one is one more entry:
 * `hello` is a handler folder that answers "hello 0", `changed(n)` the files that make it answer "hello n", and `bare`
 * the smallest server on the same base image. `process`, where it is given, starts the runtime as a plain process in
 * FOLDER on PORT, which is what throughput is measured on.
 */
const RUNTIMES = [
  {
    name: 'node',
    lang: 'node20',
    hello: { 'handler.js': `module.exports = async () => 'hello 0'\n` },
    changed: (n) => ({ 'handler.js': `module.exports = async () => 'hello ${n}'\n` }),
    bare: {
      Dockerfile: 'FROM node:20-alpine\nCOPY server.js /\nUSER 1000\nCMD ["node", "/server.js"]\n',
      'server.js': `require('http').createServer((_, answer) => answer.end('hello 0')).listen(8080)\n`,
    },
    process: {
      prepare(folder, hello) {
        cpSync(join(TEMPLATES, 'node'), folder, {
          recursive: true,
          filter: (path) => !path.includes('node/function'),
        })
        write(join(folder, 'function'), hello)
      },
      start: (folder, port) =>
        spawn(process.execPath, ['index.js'], {
          cwd: folder,
          env: { port: String(port), metrics_port: '0', suppress_lock: 'true', prefix_logs: 'false' },
          stdio: ['ignore', 'ignore', 'ignore'],
        }),
    },
  },
  python('python3', (n) => `def handle(req):\n    return b"hello ${n}"\n`),
  python('python3-http', (n) => `def handle(event, context):\n    return {"body": "hello ${n}"}\n`),
]

function python(lang, handler) {
  const changed = (n) => ({ 'handler.py': handler(n) })
  return {
    name: lang,
    lang,
    hello: changed(0),
    changed,
    bare: {
      Dockerfile:
        'FROM python:3.12-slim\nCOPY server.py /\nUSER 1000\nENV PYTHONUNBUFFERED=1\nCMD ["python3", "/server.py"]\n',
      'server.py': `from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"hello 0")

ThreadingHTTPServer(("0.0.0.0", 8080), Hello).serve_forever()
`,
    },
  }
}

/** What a function's runtime costs: its start, its hop that is not there, and a swap in the process. */
export async function run({ quick }) {
  const folder = mkdtempSync(join(tmpdir(), 'faasdock-bench-'))
  const results = []
  try {
    for (const runtime of RUNTIMES) {
      buildImages(runtime, join(folder, runtime.name))
      results.push(...(await measureStart(runtime, quick ? 3 : 15)))
      if (runtime.process)
        results.push(...(await measureThroughput(runtime, join(folder, runtime.name), quick)))
      results.push(...(await measureSwap(runtime, quick ? 10 : 50)))
    }
    return results
  } finally {
    rmSync(folder, { recursive: true, force: true })
    for (const { name } of RUNTIMES) {
      for (const kind of ['hello', 'bare'])
        await docker
          .getImage(imageOf(name, kind))
          .remove()
          .catch(() => undefined)
    }
  }
}

const imageOf = (name, kind) => `faasdock-bench-runtime-${name}-${kind}:latest`

function write(folder, files) {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

function buildImages({ name, lang, hello, bare }, folder) {
  write(join(folder, 'hello'), hello)
  write(join(folder, 'bare'), bare)
  const entry = (kind, how) =>
    `  ${kind}:\n    lang: ${how}\n    handler: ./${kind}\n    image: ${imageOf(name, kind)}\n`
  const stack = `version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n${entry('hello', lang)}${entry('bare', 'dockerfile')}`
  writeFileSync(join(folder, 'stack.yml'), stack)
  execFileSync(process.execPath, [CLI, 'build', '-f', join(folder, 'stack.yml')], { stdio: 'ignore' })
}

// -------------------------------------------------------------------------------------------------------------- start

/** From the start of a container that was created before to its first 200, the two kinds in turn. */
async function measureStart({ name }, times) {
  const samples = { hello: [], bare: [] }
  for (let i = -1; i < times; i++) {
    for (const kind of i % 2 === 0 ? ['hello', 'bare'] : ['bare', 'hello']) {
      const began = await withContainer(imageOf(name, kind), [], (_, times) => times)
      // The first of each warms the page cache.
      if (i >= 0) samples[kind].push(began.answered)
    }
  }
  const slower = samples.hello.map((ms, i) => ms - samples.bare[i])
  const baseline = { name: 'bare server', samples: samples.bare }
  return [
    result({ name: `${name}: container start to first 200`, unit: 'ms', samples: samples.hello, baseline }),
    result({ name: `${name}: the same, slower than the bare server`, unit: 'ms', samples: slower }),
  ]
}

/** Runs `work(address, times)` on a new container; `times.answered` is milliseconds from start to the first 200. */
async function withContainer(image, env, work) {
  const container = await docker.createContainer({
    Image: image,
    Env: env,
    Labels: { 'com.faasdock.test': '1' },
  })
  try {
    const began = performance.now()
    await container.start()
    const { NetworkSettings } = await container.inspect()
    const address = NetworkSettings.IPAddress || Object.values(NetworkSettings.Networks)[0].IPAddress
    for (;;) {
      const status = await ask(address, {}).then(
        (answer) => answer.status,
        () => 0,
      )
      if (status === 200) break
      if (performance.now() - began > 20_000) throw new Error(`${image} does not answer`)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    return await work(address, { answered: performance.now() - began })
  } finally {
    await container.remove({ force: true })
  }
}

function ask(host, { method = 'GET', path = '/', headers = {}, body, port = 8080 }) {
  return new Promise((resolve, reject) => {
    const req = request({ host, port, method, path, headers, agent: false }, (res) => {
      let text = ''
      res.setEncoding('utf8')
      res.on('data', (chunk) => (text += chunk))
      res.on('end', () => resolve({ status: res.statusCode, text }))
    })
    req.on('error', reject)
    req.end(body)
  })
}

// --------------------------------------------------------------------------------------------------------- throughput

/** The runtime alone, and the same runtime behind a watchdog process that proxies to it: in turn, round by round. */
async function measureThroughput(runtime, folder, quick) {
  const place = join(folder, 'process')
  runtime.process.prepare(place, runtime.hello)
  const direct = await freePort()
  const processes = [runtime.process.start(place, direct)]
  try {
    await until200(direct)
    const ways = [{ name: 'without a watchdog process', port: direct, samples: [] }]
    for (const [name, command] of watchdogs(folder)) {
      const port = await freePort()
      processes.push(
        spawn(command[0], [...command.slice(1), String(port), String(direct)], { stdio: 'ignore' }),
      )
      await until200(port)
      ways.push({ name, port, samples: [] })
    }
    for (let round = -1; round < (quick ? 2 : 7); round++) {
      for (const way of ways) {
        const printed = execFileSync(process.execPath, [join(BENCH, 'load.mjs'), String(way.port), '32', '2'])
        if (round >= 0) way.samples.push(Number(printed))
      }
    }
    const [alone, ...behind] = ways
    return behind.map((baseline) =>
      result({
        name: `${runtime.name}: hello, 32 connections`,
        unit: '/s',
        samples: alone.samples,
        baseline,
        better: 'higher',
      }),
    )
  } finally {
    for (const child of processes) child.kill('SIGKILL')
  }
}

/** Stand-ins for of-watchdog in http mode. Go's is the fairer one, and left out where there is no Go. */
function watchdogs(folder) {
  const found = [['behind a proxy in Node', [process.execPath, join(BENCH, 'watchdog/proxy.mjs')]]]
  const program = join(folder, 'watchdog')
  const built = spawnSync('go', ['build', '-o', program, join(BENCH, 'watchdog/main.go')], {
    stdio: 'ignore',
  })
  if (built.status === 0) found.push(['behind a reverse proxy in Go', [program]])
  else console.error('no Go here: the watchdog stand-in in Go is left out')
  return found
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function until200(port) {
  const limit = performance.now() + 20_000
  while (performance.now() < limit) {
    const answer = await ask('127.0.0.1', { port }).catch(() => undefined)
    if (answer?.status === 200) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`nothing answers on port ${port}`)
}

// --------------------------------------------------------------------------------------------------------------- swap

/** Saves, one after another, into one container: what the runtime says it took, and what its caller waited. */
async function measureSwap({ name, changed }, times) {
  const env = [`FAASDOCK_SWAP_TOKEN=${TOKEN}`, 'FAASDOCK_CONTENT_HASH=0']
  return await withContainer(imageOf(name, 'hello'), env, async (address) => {
    const samples = { inside: [], outside: [] }
    for (let n = 1; n <= times; n++) {
      const files = Object.entries(changed(n)).map(([file, text]) => [
        file,
        Buffer.from(text).toString('base64'),
      ])
      const body = JSON.stringify({ hash: String(n), from: String(n - 1), files: Object.fromEntries(files) })
      const began = performance.now()
      const answer = await ask(address, {
        method: 'PUT',
        path: '/_/generation',
        headers: { 'X-Faasdock-Token': TOKEN },
        body,
      })
      samples.outside.push(performance.now() - began)
      if (answer.status !== 200) throw new Error(`swap ${n}: ${answer.status} ${answer.text}`)
      samples.inside.push(JSON.parse(answer.text).ms)
      const { text } = await ask(address, {})
      if (text !== `hello ${n}`) throw new Error(`after swap ${n} the answer is ${text}`)
    }
    return [
      result({ name: `${name}: swap, as the runtime measures it`, unit: 'ms', samples: samples.inside }),
      result({ name: `${name}: swap, as its caller waits`, unit: 'ms', samples: samples.outside }),
    ]
  })
}
