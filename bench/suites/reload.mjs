import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import Docker from 'dockerode'
import { startProgram } from '../program.mjs'
import { result } from '../statistics.mjs'

const docker = new Docker()
const agent = new Agent({ keepAlive: true, maxSockets: 4 })
const TAG = `bench-${process.pid}`
const imageOf = (name) => `faasdock-bench-reload-${name}:${TAG}`

/** Kinds of functions; `files(word)` makes one answer with that word, `rung` is how a save of its code is to be taken. */
const KINDS = {
  node: {
    lang: 'node20',
    rung: 'swap',
    file: 'handler.js',
    text: (word) => `module.exports = async (event, context) => context.succeed('${word}')\n`,
  },
  python: {
    lang: 'python3-http',
    rung: 'swap',
    file: 'handler.py',
    text: (word) => `def handle(event, context):\n    return {"body": "${word}"}\n`,
  },
  foreign: {
    lang: 'plain',
    rung: 'files',
    file: 'handler.js',
    text: (word) => `module.exports = () => '${word}'\n`,
  },
  go: {
    lang: 'golang-middleware',
    rung: 'build',
    file: 'handler.go',
    text: (word) =>
      `package function\n\nimport (\n\t"fmt"\n\t"net/http"\n)\n\n// Handle answers.\nfunc Handle(w http.ResponseWriter, r *http.Request) {\n\tfmt.Fprint(w, "${word}")\n}\n`,
    more: { 'go.mod': 'module handler/function\n\ngo 1.19\n' },
  },
}

const TEMPLATE = {
  'template.yml': 'language: plain\nfprocess: node server.js\n',
  Dockerfile:
    'FROM node:20-alpine\nWORKDIR /srv\nCOPY server.js ./\nCOPY function/ ./function/\nUSER 1000\nCMD ["node", "server.js"]\n',
  'server.js':
    "const handler = require('./function/handler.js')\nrequire('http').createServer((_, answer) => answer.end(handler())).listen(8080)\nprocess.on('SIGTERM', () => process.exit(0))\n",
  'function/handler.js': '',
}

/** From the write returning to the first answer of the new code, next to a full rebuild in the same run. */
export async function run({ quick }) {
  const folder = mkdtempSync(join(tmpdir(), 'faasdock-bench-'))
  const times = quick ? 5 : 50
  writeProject(folder)
  const program = await startProgram([
    'dev',
    '-f',
    join(folder, 'stack.yml'),
    '--data',
    join(folder, 'data'),
    '--port',
    '0',
  ])
  try {
    const results = []
    const bench = { folder, program, times }
    // A file that a dependency step reads: everything that a save can cost.
    const rebuild = await measure(bench, 'node', quick ? 3 : 11, 'build', (n) => ({
      'package.json': JSON.stringify({ name: 'node', version: `1.1.${n}` }),
      'handler.js': KINDS.node.text(`node rebuilt ${n}`),
    }))
    const baseline = { name: 'full rebuild', samples: rebuild }
    results.push(result({ name: 'node: full rebuild and new container', unit: 'ms', samples: rebuild }))
    for (const kind of ['node', 'python']) {
      const samples = await measureCode(bench, kind, times)
      results.push(result({ name: `${kind}: swap`, unit: 'ms', samples, baseline }))
    }
    const start = await containerStarts('foreign', quick ? 3 : 11)
    const files = await measureCode(bench, 'foreign', times)
    results.push(
      result({
        name: 'foreign template: code only',
        unit: 'ms',
        samples: files,
        baseline: { name: 'container start + 150 ms', samples: start.map((ms) => ms + 150) },
      }),
    )
    const compile = compiles(quick ? 3 : 7)
    const goStart = await containerStarts('go', quick ? 3 : 11)
    const go = await measureCode(bench, 'go', quick ? 3 : Math.min(times, 15))
    const allowed = compile.map((ms) => ms + median(goStart) + 300)
    results.push(result({ name: 'go: the compiler alone', unit: 'ms', samples: compile }))
    results.push(
      result({
        name: 'go: code only',
        unit: 'ms',
        samples: go,
        baseline: { name: 'compiler + container start + 300 ms', samples: allowed },
      }),
    )
    return results
  } finally {
    await program.stop()
    agent.destroy()
    rmSync(folder, { recursive: true, force: true })
    for (const name of Object.keys(KINDS))
      await docker
        .getImage(imageOf(name))
        .remove({ force: true })
        .catch(() => undefined)
  }
}

function write(folder, files) {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
}

function writeProject(folder) {
  write(join(folder, 'template/plain'), TEMPLATE)
  const entries = Object.entries(KINDS).map(([name, { lang, file, text, more = {} }]) => {
    write(join(folder, name), { [file]: text(`${name} ${TAG}`), ...more })
    return `  ${name}:\n    lang: ${lang}\n    handler: ./${name}\n    image: ${imageOf(name)}\n`
  })
  write(folder, {
    'stack.yml': `version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n${entries.join('')}`,
    // Builds of the Node template install what it says.
    'node/package.json': JSON.stringify({ name: 'node', version: '1.0.0' }),
  })
}

function measureCode(bench, kind, times) {
  const { file, text, rung } = KINDS[kind]
  return measure(bench, kind, times, rung, (n) => ({ [file]: text(`${kind} saved ${n}`) }))
}

/** Saves, one after another; each is over when its word is the answer. The last of the files has the word. */
async function measure({ folder, program }, kind, times, rung, filesOf) {
  const samples = []
  for (let n = 0; n <= times; n++) {
    const files = filesOf(n)
    const word = /'([^']*)'\)|"body": "([^"]*)"|=> '([^']*)'|\(w, "([^"]*)"/.exec(
      Object.values(files).join('\n'),
    )
    const wanted = word.slice(1).find((one) => one !== undefined)
    // Not while the image of the save before is built behind it, as nobody saves that often for long.
    await quiet(program, kind)
    const events = program.events.length
    write(join(folder, kind), files)
    const began = performance.now()
    for (;;) {
      if ((await ask(`${program.url}/function/${kind}`)) === wanted) break
      if (performance.now() - began > 120_000) throw new Error(`${kind}: save ${n} is not live`)
    }
    // The first one warms everybody up.
    if (n > 0) samples.push(performance.now() - began)
    await until(() =>
      program.events
        .slice(events)
        .some((event) => event.type === 'function.ready' && event.ref.name === kind),
    )
    const { by } = program.events.slice(events).find((event) => event.type === 'function.ready')
    if (by !== rung) throw new Error(`${kind}: save ${n} was taken by ${by}, not by ${rung}`)
  }
  return samples
}

/** A save in the middle of a build that goes on behind it shares the machine with it; that is measured by nobody here. */
async function quiet(program, kind) {
  const of = program.events.filter(({ ref }) => ref?.name === kind)
  const last = of.findLastIndex(
    ({ type, by }) => type === 'function.ready' && (by === 'swap' || by === 'files'),
  )
  if (last < 0) return
  await new Promise((resolve) => setTimeout(resolve, 100))
}

async function until(look) {
  while (!look()) await new Promise((resolve) => setTimeout(resolve, 1))
}

function ask(url) {
  return new Promise((resolve, reject) => {
    const req = request(url, { agent }, (res) => {
      let text = ''
      res.setEncoding('utf8')
      res.on('data', (chunk) => (text += chunk))
      res.on('end', () => resolve(text))
    })
    req.on('error', reject)
    req.end()
  })
}

/** From asking for a container of that function's image to its first 200. */
async function containerStarts(kind, times) {
  const samples = []
  for (let i = -1; i < times; i++) {
    const began = performance.now()
    const container = await docker.createContainer({
      Image: imageOf(kind),
      Labels: { 'com.faasdock.test': '1' },
    })
    try {
      await container.start()
      const { NetworkSettings } = await container.inspect()
      const address = NetworkSettings.IPAddress || Object.values(NetworkSettings.Networks)[0].IPAddress
      for (;;) {
        const text = await ask(`http://${address}:8080/`).catch(() => undefined)
        if (text !== undefined) break
        if (performance.now() - began > 30_000) throw new Error(`${kind} does not answer`)
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      if (i >= 0) samples.push(performance.now() - began)
    } finally {
      await container.remove({ force: true })
    }
  }
  return samples
}

/** `go build` of the handler with everything else in its cache, in the image that builds use, as nothing else on this machine has Go. */
function compiles(times) {
  const folder = mkdtempSync(join(tmpdir(), 'faasdock-bench-go-'))
  const name = `faasdock-bench-go-${process.pid}`
  const samples = []
  try {
    write(folder, {
      'go.mod': 'module bench\n\ngo 1.19\n',
      'main.go':
        'package main\n\nimport (\n\t"bench/function"\n\t"net/http"\n)\n\nfunc main() {\n\thttp.ListenAndServe(":8080", http.HandlerFunc(function.Handle))\n}\n',
    })
    const run = (...args) => execFileSync('docker', args, { stdio: ['ignore', 'ignore', 'inherit'] })
    run(
      'run',
      '-d',
      '--rm',
      '--name',
      name,
      '--label',
      'com.faasdock.test=1',
      'golang:1.25-alpine',
      'sleep',
      '600',
    )
    for (let n = -1; n < times; n++) {
      write(join(folder, 'function'), { 'handler.go': KINDS.go.text(`compiled ${n}`) })
      run('cp', `${folder}/.`, `${name}:/src`)
      const began = performance.now()
      run('exec', '-w', '/src', '-e', 'CGO_ENABLED=0', name, 'go', 'build', '-o', '/tmp/handler', '.')
      if (n >= 0) samples.push(performance.now() - began)
    }
    return samples
  } finally {
    spawnSync('docker', ['rm', '-f', name], { stdio: 'ignore' })
    rmSync(folder, { recursive: true, force: true })
  }
}

function median(samples) {
  return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)]
}
