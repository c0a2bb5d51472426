import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Functions of one project, one of each kind that a save reaches in its own way. */
export interface ReloadProject {
  readonly folder: string
  readonly stack: string
  /** Names of the images, for the end. */
  readonly images: readonly string[]
  /** Writes the stack file anew: `more` are lines of YAML by function. */
  write(kinds: readonly Kind[], more?: Readonly<Partial<Record<Kind, readonly string[]>>>): Promise<void>
  /** Absolute. */
  file(kind: Kind, path?: string): string
  /** Makes a function answer with this word. */
  say(kind: Kind, word: string): Promise<void>
}

/** `swapped` in Node, `snake` in Python: swap. `foreign`: a template with a watchdog of its own. `compiled`: Go. */
export type Kind = 'swapped' | 'snake' | 'foreign' | 'compiled'

const LANG: Readonly<Record<Kind, string>> = {
  swapped: 'node20',
  snake: 'python3-http',
  foreign: 'relay',
  compiled: 'golang-middleware',
}

/** The file that says the word, and how. */
const HANDLERS: Readonly<Record<Kind, readonly [string, (word: string) => string]>> = {
  swapped: [
    'handler.js',
    (word) => `module.exports = async (event, context) => context.succeed('${word}')\n`,
  ],
  snake: ['handler.py', (word) => `def handle(event, context):\n    return {"body": "${word}"}\n`],
  foreign: ['handler.js', (word) => `module.exports = () => '${word}'\n`],
  compiled: [
    'handler.go',
    (word) =>
      `package function\n\nimport (\n\t"fmt"\n\t"net/http"\n)\n\n// Handle answers.\nfunc Handle(w http.ResponseWriter, r *http.Request) {\n\tfmt.Fprint(w, "${word}")\n}\n`,
  ],
}

/** A watchdog that knows nothing of reloads: it starts the handler's process and passes calls on to it. */
const FOREIGN_TEMPLATE = {
  'template.yml': 'language: relay\nfprocess: node host.js\n',
  Dockerfile: `FROM node:20-alpine
LABEL com.faasdock.test=1
WORKDIR /srv
COPY watch.js host.js ./
COPY function/ ./function/
USER 1000
CMD ["node", "watch.js"]
`,
  'watch.js': `const { spawn } = require('child_process')
const { createServer, request } = require('http')
const child = spawn(process.execPath, ['host.js'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
child.on('exit', (code) => process.exit(code || 1))
process.on('SIGTERM', () => process.exit(0))
const door = createServer((call, answer) => {
  const { method, url, headers } = call
  const passed = request({ port: 3000, method, path: url, headers }, (reply) => {
    answer.writeHead(reply.statusCode, reply.headers)
    reply.pipe(answer)
  })
  passed.on('error', () => answer.writeHead(500).end())
  call.pipe(passed)
})
child.once('message', () => door.listen(8080))
`,
  'host.js': `const handler = require('./function/handler.js')
require('http').createServer((call, answer) => answer.end(String(handler(call)))).listen(3000, () => process.send('up'))
`,
}

/** Makes the project below `scratch`. `tag` makes its images its own. */
export async function makeReloadProject(scratch: string, name: string, tag: string): Promise<ReloadProject> {
  const folder = join(scratch, name)
  const stack = join(folder, 'stack.yml')
  const imageOf = (kind: Kind): string => `faasdock-test-reload-${kind}:${tag}`
  await writeAll(join(folder, 'template/relay'), { ...FOREIGN_TEMPLATE, 'function/handler.js': '' })
  const project: ReloadProject = {
    folder,
    stack,
    images: (Object.keys(LANG) as Kind[]).map(imageOf),
    file: (kind, path = HANDLERS[kind][0]) => join(folder, kind, path),
    say: (kind, word) => writeFile(project.file(kind), HANDLERS[kind][1](word)),
    write: (kinds, more = {}) => {
      const blocks = kinds.map((kind) =>
        [
          `  ${kind}:`,
          `    lang: ${LANG[kind]}`,
          `    handler: ./${kind}`,
          `    image: ${imageOf(kind)}`,
          ...(more[kind] ?? []).map((line) => `    ${line}`),
          '',
        ].join('\n'),
      )
      return writeFile(
        stack,
        ['version: 1.0', 'provider:', '  name: openfaas', 'functions:', ...blocks].join('\n'),
      )
    },
  }
  for (const kind of Object.keys(LANG) as Kind[]) {
    await mkdir(join(folder, kind), { recursive: true })
    // The tag makes its contents nobody else's, so that builds are builds.
    await project.say(kind, `${kind} ${tag}`)
  }
  await writeFile(project.file('compiled', 'go.mod'), 'module handler/function\n\ngo 1.19\n')
  return project
}

async function writeAll(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
}
