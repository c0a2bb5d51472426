import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { listTemplates, resolveTemplate } from './template.ts'

const NODE_YML = `
language: node
fprocess: node index.js
handler_folder: function
welcome_message: hello
build_options:
  - name: dev
    packages: [make, g++]
languages:
  node20: { NODE_VERSION: 20 }
  node22: { NODE_VERSION: "22" }
unknown: ignored
`

const shipped = () =>
  makeFolder({
    'node/Dockerfile': 'FROM scratch',
    'node/template.yml': NODE_YML,
    'python3/Dockerfile': 'FROM scratch',
  })

describe('finding a template', () => {
  test('a built-in template serves every lang of its languages, with their build arguments', async () => {
    await using builtIn = await shipped()
    const template = await resolveTemplate({ lang: 'node20', root: '/nowhere' }, builtIn.path)
    expect(template).toMatchObject({
      lang: 'node20',
      folder: join(builtIn.path, 'node'),
      languageArgs: { NODE_VERSION: '20' },
      fprocess: 'node index.js',
      handlerFolder: 'function',
      mountSsh: false,
    })
    expect(template.buildOptions.get('dev')).toEqual(['make', 'g++'])
  })

  test('a folder is a template without a template.yml', async () => {
    await using builtIn = await shipped()
    const template = await resolveTemplate({ lang: 'python3', root: '/nowhere' }, builtIn.path)
    expect(template).toMatchObject({
      folder: join(builtIn.path, 'python3'),
      handlerFolder: 'function',
      languageArgs: {},
    })
  })

  test('the template of the project wins over the built-in one', async () => {
    await using builtIn = await shipped()
    await using project = await makeFolder({ 'template/node20/template.yml': 'handler_folder: src/handler/' })
    const template = await resolveTemplate({ lang: 'node20', root: project.path }, builtIn.path)
    expect(template).toMatchObject({
      folder: join(project.path, 'template/node20'),
      handlerFolder: 'src/handler',
      languageArgs: {},
    })
  })

  test.each(['dockerfile', 'Dockerfile', 'DOCKERFILE'])('lang %s needs no template', async (lang) => {
    const template = await resolveTemplate({ lang, root: '/nowhere' }, '/nowhere')
    expect(template.folder).toBeUndefined()
  })

  test('a lang that nothing serves says where it was looked for and what was meant', async () => {
    await using builtIn = await shipped()
    const error = await resolveTemplate({ lang: 'nod20', root: '/project' }, builtIn.path).catch(
      (e: unknown) => e,
    )
    expect(error).toMatchObject({ code: 'TEMPLATE_NOT_FOUND' })
    expect(error).toHaveProperty('message', expect.stringContaining('"nod20"'))
    expect(error).toHaveProperty('message', expect.stringContaining('/project/template/nod20'))
    expect(error).toHaveProperty('message', expect.stringContaining(builtIn.path))
    expect(error).toHaveProperty('remedy', expect.stringContaining('Did you mean node20'))
    expect(error).toHaveProperty(
      'remedy',
      expect.stringContaining('Known here: dockerfile, node, node20, node22, python3'),
    )
    expect(error).toHaveProperty('remedy', expect.stringContaining('`faasdock template pull REPOSITORY`'))
  })

  test('a well-known template says which repository provides it', async () => {
    await using builtIn = await shipped()
    const error = await resolveTemplate({ lang: 'golang-middleware', root: '/p' }, builtIn.path).catch(
      (e: unknown) => e,
    )
    expect(error).toHaveProperty(
      'remedy',
      expect.stringContaining('openfaas/golang-http-template provides it'),
    )
  })

  test('a name close to a well-known template leads to its repository', async () => {
    await using builtIn = await shipped()
    const error = await resolveTemplate({ lang: 'golang-midleware', root: '/p' }, builtIn.path).catch(
      (e: unknown) => e,
    )
    expect(error).toHaveProperty(
      'remedy',
      expect.stringContaining('Did you mean golang-middleware, from openfaas/golang-http-template?'),
    )
  })

  test.each(['..', '../outside', '', '.'])(
    'lang %j does not climb out of the template folder',
    async (lang) => {
      await using project = await makeFolder({ 'outside/Dockerfile': '', 'template/x/Dockerfile': '' })
      await expect(resolveTemplate({ lang, root: project.path }, '/nowhere')).rejects.toMatchObject({
        code: 'TEMPLATE_NOT_FOUND',
      })
    },
  )
})

describe('a template.yml with mistakes', () => {
  test.each([
    ['build_options: 3', 'build_options'],
    ['mount_ssh: perhaps', 'mount_ssh'],
    ['fprocess: [a]', 'fprocess'],
    ['handler_folder: ../up', 'not inside'],
    ['reload: { way: magic, folder: /app }', 'reload.way'],
    ['reload: { way: swap, folder: app }', 'reload.folder'],
    ['reload: { way: swap, folder: /app, dependencies: cargo }', 'reload.dependencies'],
    ['a: [', 'template.yml'],
    ['just text', 'the file'],
  ])('%j is refused and named', async (yml, named) => {
    await using project = await makeFolder({ 'template/x/template.yml': yml })
    const error = await resolveTemplate({ lang: 'x', root: project.path }, '/nowhere').catch(
      (e: unknown) => e,
    )
    expect(error).toMatchObject({ code: 'BAD_TEMPLATE' })
    expect(error).toHaveProperty('message', expect.stringContaining(named))
    expect(error).toHaveProperty(
      'message',
      expect.stringContaining(join(project.path, 'template/x/template.yml')),
    )
  })

  test('keys without a value and an empty file are accepted', async () => {
    await using project = await makeFolder({
      'template/x/template.yml': 'fprocess:\nbuild_options:\nhandler_folder:\n',
      'template/y/template.yml': '',
    })
    for (const lang of ['x', 'y']) {
      const template = await resolveTemplate({ lang, root: project.path }, '/nowhere')
      expect(template.handlerFolder).toBe('function')
    }
  })
})

test('the list has the project’s templates and the built-in ones that they do not hide', async () => {
  await using builtIn = await shipped()
  await using project = await makeFolder({
    'template/node20/Dockerfile': '',
    'template/README.md': 'no template',
  })
  const list = await listTemplates(project.path, builtIn.path)
  expect(list.map(({ lang, origin }) => `${lang} ${origin}`)).toEqual([
    'node built-in',
    'node20 project',
    'node22 built-in',
    'python3 built-in',
  ])
})
