import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { sourceIn } from '../../test/support/function-source.ts'
import { assembleContext, IMAGE_LAYOUT } from './context.ts'
import { copyStarter } from './starter.ts'
import { listTemplates, resolveTemplate } from './template.ts'

const SHIPPED = fileURLToPath(new URL('../../templates', import.meta.url))

test('a new function has the handler of its lang, the test and the README, under its own name', async () => {
  await using folder = await makeFolder({
    'templates/py/function/handler.py': 'plain',
    'templates/py/template.yml': 'languages: { py: {}, py-http: {}, py-http-slim: {} }',
    'templates/py/sample/py/README.md': 'not this one',
    'templates/py/sample/py-http/README.md': 'call FUNCTION_NAME',
    'templates/py/sample/py-http/handler.py': 'http',
    'templates/py/sample/py-http/test_handler.py': 'test',
  })
  const to = join(folder.path, 'hello')
  const starter = { lang: 'py-http-slim', root: folder.path, name: 'hello', to }
  const copied = await copyStarter(starter, join(folder.path, 'templates'))
  expect(copied.files).toEqual(['README.md', 'handler.py', 'test_handler.py'])
  expect(await readFile(join(to, 'README.md'), 'utf8')).toBe('call hello')
  expect(await readFile(join(to, 'handler.py'), 'utf8')).toBe('http')
})

test('a template without samples gives its handler folder', async () => {
  await using folder = await makeFolder({ 'template/own/function/handler.rb': 'x' })
  const starter = { lang: 'own', root: folder.path, name: 'a', to: join(folder.path, 'a') }
  expect((await copyStarter(starter, SHIPPED)).files).toEqual(['handler.rb'])
})

const shipped = await listTemplates('/nowhere', SHIPPED)

test.each(shipped.map(({ lang }) => lang))(
  '%s has a sample, its test, a README and a description',
  async (lang) => {
    await using folder = await makeFolder()
    const to = join(folder.path, 'hello')
    const { files } = await copyStarter({ lang, root: folder.path, name: 'hello', to }, SHIPPED)
    expect(files).toContain('README.md')
    expect(files.filter((file) => /(^test_|[._]test\.)/.test(file))).not.toEqual([])
    expect(await readFile(join(to, 'README.md'), 'utf8')).toMatch(/^# hello\n/)
    expect(shipped.find((one) => one.lang === lang)?.description).toMatch(/^.{10,90}$/)
  },
)

test.each(shipped.map(({ lang }) => lang))(
  'nothing of the sample of %s is in anybody’s build',
  async (lang) => {
    if (lang === 'dockerfile') return
    await using folder = await makeFolder({ 'hello/empty': '' })
    const source = sourceIn(folder, { lang })
    const { tree } = await assembleContext(source, await resolveTemplate(source, SHIPPED), IMAGE_LAYOUT)
    const paths = tree.list().map(({ path }) => path)
    expect(paths).toContain('Dockerfile')
    expect(paths.filter((path) => /^(sample|README)|test/.test(path))).toEqual([])
  },
)

test('template/go and template/bash have one watchdog', async () => {
  for (const file of ['watchdog.go', 'fork.go']) {
    const [go, bash] = await Promise.all([
      readFile(join(SHIPPED, 'go/runtime', file), 'utf8'),
      readFile(join(SHIPPED, 'bash/watchdog', file), 'utf8'),
    ])
    expect(bash === go, file).toBe(true)
  }
  expect((await readdir(join(SHIPPED, 'go/runtime'))).sort()).toEqual(['fork.go', 'watchdog.go'])
})
