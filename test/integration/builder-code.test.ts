import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { extract } from 'tar-stream'
import { afterAll, expect, test } from 'vitest'
import { createImageBuilder } from '../../src/builder/image-builder.ts'
import type { FunctionSource } from '../../src/core/builder.ts'
import type { Code } from '../../src/core/code.ts'
import { makeEngine } from '../../src/docker/client.ts'
import { formatEngineAddress } from '../../src/docker/engine-address.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'

/** This run's own, so that tests of others, at the same time on the same engine, are left alone. */
const SUITE = `builder-code-${process.pid}-${Date.now()}`
const LABELS = { 'com.faasdock.test': '1', 'com.faasdock.test.suite': SUITE }
const TEMPLATES = fileURLToPath(new URL('../../templates/', import.meta.url))

const never = new AbortController().signal

const builder = () =>
  createImageBuilder({
    engine: makeEngine(dockerAddress()),
    engineAddress: formatEngineAddress(dockerAddress()),
    templates: TEMPLATES,
    env: process.env,
    labels: LABELS,
  })

/** Regular files below a folder of an image, each with the hash of its content. */
async function filesOf(image: string, folder: string): Promise<ReadonlyMap<string, string>> {
  const container = await makeEngine(dockerAddress()).createContainer({ Image: image, Labels: LABELS })
  try {
    const files = new Map<string, string>()
    const tar = extract()
    const archive = await container.getArchive({ path: `${folder}/.` })
    archive.pipe(tar)
    for await (const entry of tar) {
      const hash = createHash('sha256')
      for await (const chunk of entry) hash.update(chunk as Buffer)
      if (entry.header.type === 'file') files.set(entry.header.name.replace(/^\.\//, ''), hash.digest('hex'))
    }
    return files
  } finally {
    await container.remove({ force: true })
  }
}

const hashesOf = (code: Code | undefined) =>
  Object.fromEntries([...(code?.files ?? [])].map(([path, { hash }]) => [path, hash]))

/** What installations and the interpreters put there is nobody's source. */
const isInstalled = (path: string) => /(^|\/)(node_modules|__pycache__)\//.test(path)

const NODE = {
  'hello/handler.mjs': 'export default async (event, context) => context.succeed("x")',
  'hello/lib/a.mjs': 'export default 1',
  'hello/package.json': '{"dependencies":{"auth":"file:libs/auth"}}',
  'hello/.npmrc': 'fund=false',
  'hello/libs/auth/package.json': '{"name":"auth","version":"1.0.0"}',
  'hello/libs/auth/index.js': 'module.exports = 1',
  'hello/node_modules/x/index.js': 'the developer’s own',
  'hello/data/some.json': '{}',
}
const PYTHON = {
  'hello/handler.py': 'def handle(event, context):\n    return {"statusCode": 200}\n',
  'hello/pkg/mod.py': 'X = 1\n',
  'hello/data.txt': 'x',
  'hello/__pycache__/handler.cpython-312.pyc': 'old',
  'hello/.pytest_cache/x': 'x',
}
const OFFICIAL = {
  'template/theirs/Dockerfile': `FROM node:20-alpine AS dog
LABEL com.faasdock.test=1 com.faasdock.test.suite=${SUITE}
RUN mkdir /dog && touch /dog/bin
FROM node:20-alpine AS final
LABEL com.faasdock.test=1 com.faasdock.test.suite=${SUITE}
COPY --from=dog /dog/bin /usr/bin/dog
RUN chmod +x /usr/bin/dog && mkdir -p /srv/fn
WORKDIR /srv
COPY package.json index.js ./
RUN npm i --no-audit --no-fund
WORKDIR /srv/fn
COPY function/*.json ./
RUN npm i --no-audit --no-fund
COPY function/ ./
RUN npm test
CMD ["node", "/srv/index.js"]
`,
  'template/theirs/package.json': '{}',
  'template/theirs/index.js': '',
  'hello/handler.js': 'module.exports = 1',
  'hello/package.json': '{"scripts":{"test":"exit 0"}}',
  'hello/views/a.html': '<p>',
}

describeDocker('what a fingerprint calls code', () => {
  afterAll(async () => {
    const engine = makeEngine(dockerAddress())
    const filters = { label: [`com.faasdock.test.suite=${SUITE}`] }
    for (const { Id } of await engine.listContainers({ all: true, filters }))
      await engine.getContainer(Id).remove({ force: true })
    for (const { Id } of await engine.listImages({ filters })) {
      await engine
        .getImage(Id)
        .remove({ force: true })
        .catch(() => undefined)
    }
  }, 60_000)

  test.each([
    ['node20', NODE, { way: 'swap', all: true, changed: 'lib/a.mjs' }],
    ['python3-http', PYTHON, { way: 'swap', all: true, changed: 'pkg/mod.py' }],
    ['theirs', OFFICIAL, { way: 'files', all: false, changed: 'views/a.html' }],
  ] as const)(
    'is what an image of %s has in its folder',
    async (lang, files, { way, all, changed }) => {
      await using folder = await makeFolder(files)
      const source: FunctionSource = {
        name: 'hello',
        lang,
        handler: join(folder.path, 'hello'),
        image: `faasdock-test/${SUITE}/${lang}:latest`,
        root: folder.path,
        buildArgs: {},
        buildOptions: [],
        buildSecrets: {},
        copy: [],
      }
      const rooms = builder()
      const before = await rooms.fingerprint(source, { signal: never })
      const built = await rooms.build(source, { signal: never })
      expect(before.code?.way).toBe(way)
      expect([built.contentHash, built.codeHash]).toEqual([before.content, before.code?.hash])

      const inImage = await filesOf(built.imageId, before.code?.folder ?? '/')
      const own = [...inImage].filter(([path]) => !isInstalled(path))
      if (all) expect(hashesOf(before.code)).toEqual(Object.fromEntries(own))
      else expect(Object.fromEntries(own)).toMatchObject(hashesOf(before.code))

      await mkdir(dirname(join(source.handler, changed)), { recursive: true })
      await writeFile(join(source.handler, changed), 'X = 2\n')
      const after = await rooms.fingerprint(source, { signal: never })
      expect(after.frame).toBe(before.frame)
      expect(after.code?.hash).not.toBe(before.code?.hash)
      expect(after.content).not.toBe(before.content)
    },
    300_000,
  )
})
