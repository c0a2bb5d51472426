import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { cli } from '../../../test/support/cli.ts'
import { makeFolder } from '../../../test/support/folder.ts'
import type { TestFolder } from '../../../test/support/folder.ts'
import { useApp } from '../../../test/support/use-app.ts'
import type { TestApp } from '../../../test/support/use-app.ts'

const image = (language: 'node' | 'python', lacks?: string) => ({
  listener: () => (_request: unknown, response: { end(): void }) => {
    response.end()
  },
  debugger: {
    language,
    folder: '/home/app/function',
    ...(lacks !== undefined && { lacks }),
    connect: () => new PassThrough(),
  },
})

const STACK = [
  'provider: { name: openfaas }',
  'functions:',
  '  m-search: { lang: node20, handler: ./m-search, image: m-search }',
  '  pinyin: { lang: python3, handler: ./pinyin, image: pinyin }\n',
].join('\n')

interface Project extends AsyncDisposable {
  readonly used: TestApp
  readonly folder: TestFolder
  readonly run: (...args: string[]) => ReturnType<typeof cli>
}

async function project(): Promise<Project> {
  const used = await useApp({ node: image('node'), python: image('python') })
  const folder = await makeFolder({ 'stack.yml': STACK, 'm-search/handler.js': '', 'pinyin/handler.py': '' })
  await used.deploy('m-search', 'node')
  await used.deploy('pinyin', 'python')
  return {
    used,
    folder,
    run: (...args) => cli(['debug', ...args, '-g', used.url], { cwd: folder.path }),
    [Symbol.asyncDispose]: async () => {
      await used[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}

test('every function gets a port, and nothing is written where no editor is used', async () => {
  await using given = await project()
  const { code, out } = await given.run()
  expect(code).toBe(0)
  expect(out).toMatch(
    /^FUNCTION +DEBUGGER +PORT *\nm-search +node +127\.0\.0\.1:\d+ *\npinyin +python +127\.0\.0\.1:\d+ *\n/,
  )
  expect(out).toContain('there; --vscode')
  await expect(readFile(join(given.folder.path, '.vscode/launch.json'))).rejects.toThrow('ENOENT')
})

test('what a function lacks to be debugged is said when it is asked for, not when an editor fails', async () => {
  await using used = await useApp({ bare: image('python', 'add debugpy'), ready: image('python') })
  await used.deploy('bare', 'bare')
  await used.deploy('ready', 'ready')
  await using empty = await makeFolder()
  const { code, err } = await cli(['debug', '-g', used.url], { cwd: empty.path })
  expect([code, err]).toEqual([0, expect.stringMatching(/bare cannot be debugged as it is: add debugpy\n/)])
  const json = await cli(['debug', '--json', '-g', used.url], { cwd: empty.path })
  expect((JSON.parse(json.out) as { ports: object[] }).ports).toMatchObject([{ lacks: 'add debugpy' }, {}])
})

test('editors that are used here get what they need, of the functions that were named', async () => {
  await using given = await project()
  await given.folder.write({ '.idea/workspace.xml': '' })
  const { out } = await given.run('pinyin')
  expect(out).toContain('.idea/runConfigurations/faasdock_pinyin.xml  written')
  expect(out).not.toContain('m-search')
  const asked = await given.run('m-search', '--vscode', '--json')
  const { ports, files } = JSON.parse(asked.out) as { ports: { port: number }[]; files: unknown[] }
  const path = join(given.folder.path, '.vscode/launch.json')
  expect(files).toEqual([{ path, change: 'made' }])
  expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({
    configurations: [
      { name: 'faasdock: m-search', port: ports[0]?.port, localRoot: '${workspaceFolder}/m-search' },
    ],
  })
  expect((await given.run('--vscode', '--no-write')).out).not.toContain('launch.json')
})

test('which folder is to be opened is said, and where the sources are is asked for', async () => {
  await using given = await project()
  const { out } = await given.run('--vscode')
  expect(out).toContain('.vscode/launch.json  written\nOpen this folder in the editor')
  await using empty = await makeFolder()
  const from = (...args: string[]) => cli(['debug', ...args, '-g', given.used.url], { cwd: empty.path })
  expect((await from()).out).toContain('there; -f STACK --vscode')
  const elsewhere = await from('-f', join(given.folder.path, 'stack.yml'), '--vscode')
  expect(elsewhere.out).toContain(`Open ${given.folder.path} in the editor`)
})

test('ports are taken away again', async () => {
  await using given = await project()
  await given.run()
  expect((await given.run('--off', 'pinyin')).out).toMatch(/^closed: pinyin \(\d+\)\n$/)
  expect((await given.run('--off', 'pinyin')).out).toBe('none of them had a port for debuggers\n')
  expect((await given.run('--off')).out).toMatch(/^closed: m-search \(\d+\)\n$/)
  expect((await given.run('--off')).out).toBe('no function had a port for debuggers\n')
  expect(JSON.parse((await given.run('--off', '--json')).out)).toEqual([])
})

test('what cannot be done is said, with its remedy', async () => {
  await using given = await project()
  const unknown = await given.run('nobody')
  expect(unknown.code).toBe(1)
  expect(unknown.err).toContain('FUNCTION_NOT_FOUND')
  await given.folder.write({ '.vscode/launch.json': '{ "configurations": [' })
  const broken = await given.run()
  expect(broken.code).toBe(2)
  expect(broken.err).toMatch(/launch\.json cannot be understood/)
  await using empty = await makeFolder()
  const nowhere = await cli(['debug', '--vscode', '-g', given.used.url], { cwd: empty.path })
  expect(nowhere.code).toBe(2)
  expect(nowhere.err).toContain('there is no stack file')
})
