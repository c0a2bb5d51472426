import { mkdir, symlink } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import type { FileSketch } from '../../test/support/folder.ts'
import { sourceIn } from '../../test/support/function-source.ts'
import type { FunctionSource } from '../core/builder.ts'
import { assembleContext, IMAGE_LAYOUT } from './context.ts'
import { resolveTemplate } from './template.ts'

const TEMPLATE = {
  'template/node20/Dockerfile': 'FROM scratch',
  'template/node20/template.yml': 'fprocess: node index.js',
  'template/node20/index.js': { content: '#!/usr/bin/env node', mode: 0o755 },
  'template/node20/function/handler.js': 'sample',
  'template/node20/function/package.json': 'sample manifest',
}

const project = (files: Record<string, FileSketch>) => makeFolder({ ...TEMPLATE, ...files })

async function assemble(source: FunctionSource) {
  return assembleContext(source, await resolveTemplate(source, '/nowhere'), IMAGE_LAYOUT)
}

async function paths(source: FunctionSource) {
  return (await assemble(source)).tree.list().map(({ path, kind }) => (kind === 'folder' ? `${path}/` : path))
}

describe('the build context', () => {
  test('the handler lies over the template’s sample, whose other files stay', async () => {
    await using folder = await project({
      'hello/handler.js': 'mine',
      'hello/lib/x.js': 'x',
      'hello/.env': 'dot',
    })
    const source = sourceIn(folder)
    expect(await paths(source)).toEqual([
      'Dockerfile',
      'function/',
      'function/.env',
      'function/handler.js',
      'function/lib/',
      'function/lib/x.js',
      'function/package.json',
      'index.js',
      'template.yml',
    ])
    const { tree } = await assemble(source)
    expect(tree.get('function/handler.js')).toMatchObject({ file: join(folder.path, 'hello/handler.js') })
    expect(tree.get('function/package.json')).toMatchObject({
      file: join(folder.path, 'template/node20/function/package.json'),
    })
    expect(tree.get('index.js')?.mode).toBe(0o755)
  })

  test('build and template are skipped at the top of the handler folder, and only there', async () => {
    await using folder = await project({
      'hello/handler.js': '',
      'hello/build/old': '',
      'hello/template/node20/Dockerfile': '',
      'hello/lib/build/kept': '',
    })
    const found = await paths(sourceIn(folder))
    expect(found).toContain('function/lib/build/kept')
    expect(found.filter((path) => /^function\/(build|template)/.test(path))).toEqual([])
  })

  test('lang dockerfile is the handler folder itself', async () => {
    await using folder = await project({ 'hello/Dockerfile': 'FROM scratch', 'hello/app/main': '' })
    expect(await paths(sourceIn(folder, { lang: 'Dockerfile' }))).toEqual(['Dockerfile', 'app/', 'app/main'])
  })

  test('the handler folder that the template names is used', async () => {
    await using folder = await project({
      'hello/a.java': '',
      'template/java/template.yml': 'handler_folder: src/main',
    })
    expect(await paths(sourceIn(folder, { lang: 'java' }))).toEqual([
      'src/',
      'src/main/',
      'src/main/a.java',
      'template.yml',
    ])
  })

  test('a handler folder that is the project itself works', async () => {
    await using folder = await project({ 'handler.js': '', 'build/hello/Dockerfile': '' })
    const found = await paths(sourceIn(folder, { handler: folder.path }))
    expect(found).toContain('function/handler.js')
    expect(found.some((path) => path.includes('build') || path.includes('template/'))).toBe(false)
  })

  test('a missing handler folder is named, with its neighbour of a like name', async () => {
    await using folder = await project({ 'helo/handler.js': '' })
    await expect(assemble(sourceIn(folder))).rejects.toMatchObject({
      code: 'HANDLER_NOT_FOUND',
      message: `hello: the handler folder ${join(folder.path, 'hello')} does not exist`,
      remedy: expect.stringContaining(`Did you mean ${join(folder.path, 'helo')}?`) as string,
    })
  })

  test('a handler that is a file is not a folder', async () => {
    await using folder = await project({ hello: 'a file' })
    await expect(assemble(sourceIn(folder))).rejects.toMatchObject({
      message: expect.stringContaining('is not a folder') as string,
    })
  })

  test('a file where the template has a folder is refused instead of guessed', async () => {
    await using folder = await project({ 'hello/lib': 'a file', 'template/node20/function/lib/x': '' })
    await expect(assemble(sourceIn(folder))).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: expect.stringContaining('function/lib') as string,
    })
  })
})

describe('configuration.copy', () => {
  test('files and folders come below the handler folder under the same path', async () => {
    await using folder = await project({
      'hello/handler.js': '',
      'shared/auth/index.js': '',
      'models/words.txt': '',
    })
    const source = sourceIn(folder, { copy: ['./shared/auth', join(folder.path, 'models/words.txt')] })
    const found = await paths(source)
    expect(found).toContain('function/shared/auth/index.js')
    expect(found).toContain('function/models/words.txt')
  })

  test.each([
    ['../other', 'outside'],
    ['/etc/passwd', 'outside'],
    ['.', 'whole project'],
    ['a/..', 'whole project'],
  ])('%s is refused', async (path, why) => {
    await using folder = await project({ 'hello/handler.js': '' })
    await expect(assemble(sourceIn(folder, { copy: [path] }))).rejects.toMatchObject({
      code: 'BAD_STACK',
      message: expect.stringContaining(why) as string,
    })
  })

  test('a neighbour whose name begins like the project’s is outside', async () => {
    await using folder = await project({ 'hello/handler.js': '' })
    await expect(assemble(sourceIn(folder, { copy: [`${folder.path}-other/x`] }))).rejects.toMatchObject({
      code: 'BAD_STACK',
    })
  })

  test('a path that does not exist is named', async () => {
    await using folder = await project({ 'hello/handler.js': '' })
    await expect(assemble(sourceIn(folder, { copy: ['nope'] }))).rejects.toMatchObject({
      code: 'FILE_NOT_READABLE',
      message: expect.stringContaining(join(folder.path, 'nope')) as string,
    })
  })
})

describe('.dockerignore', () => {
  test('of the handler folder counts for the handler, not for the template', async () => {
    await using folder = await project({
      'hello/.dockerignore': 'node_modules\n*.log\npackage.json\n!keep.log',
      'hello/handler.js': '',
      'hello/node_modules/x/index.js': '',
      'hello/a.log': '',
      'hello/keep.log': '',
      'hello/package.json': 'mine',
    })
    const { tree } = await assemble(sourceIn(folder))
    expect(tree.list().map(({ path }) => path)).toEqual([
      'Dockerfile',
      'function',
      'function/.dockerignore',
      'function/handler.js',
      'function/keep.log',
      'function/package.json',
      'index.js',
      'template.yml',
    ])
    expect(tree.get('function/package.json')).toMatchObject({
      file: expect.stringContaining('template/node20') as string,
    })
  })

  test('an exception brings back what is deep in an ignored folder', async () => {
    await using folder = await project({
      'hello/.dockerignore': 'data\n!data/deep/keep',
      'hello/data/deep/keep': '',
      'hello/data/deep/drop': '',
      'hello/data/drop': '',
    })
    const found = (await paths(sourceIn(folder))).filter((path) => path.includes('data'))
    expect(found).toEqual(['function/data/', 'function/data/deep/', 'function/data/deep/keep'])
  })

  test('of the template counts for everything, as Docker reads it at the top of the context', async () => {
    await using folder = await project({
      'template/node20/.dockerignore': '**/node_modules\ntemplate.yml',
      'template/node20/node_modules/a': '',
      'hello/handler.js': '',
      'hello/node_modules/b': '',
      'shared/node_modules/c': '',
      'shared/d': '',
    })
    const { tree, warnings } = await assemble(sourceIn(folder, { copy: ['shared'] }))
    const found = tree.list().map(({ path }) => path)
    expect(found.filter((path) => /node_modules|template.yml/.test(path))).toEqual([])
    expect(found).toContain('function/shared/d')
    expect(warnings).toEqual([])
  })

  test('of a dockerfile function does not take away the Dockerfile', async () => {
    await using folder = await project({
      'hello/.dockerignore': '*\n!app',
      'hello/Dockerfile': '',
      'hello/app/x': '',
      'hello/y': '',
    })
    expect(await paths(sourceIn(folder, { lang: 'dockerfile' }))).toEqual([
      '.dockerignore',
      'Dockerfile',
      'app/',
      'app/x',
    ])
  })
})

describe('symlinks', () => {
  test('are followed, to files and to folders, also out of the project', async () => {
    await using outside = await makeFolder({ 'lib/index.js': 'outside' })
    await using folder = await project({ 'hello/handler.js': '' })
    await symlink(join(outside.path, 'lib'), join(folder.path, 'hello/lib'))
    await symlink('handler.js', join(folder.path, 'hello/alias.js'))
    const { tree } = await assemble(sourceIn(folder))
    expect(tree.get('function/lib/index.js')?.kind).toBe('file')
    expect(tree.get('function/alias.js')?.kind).toBe('file')
  })

  test('the same folder twice is no loop', async () => {
    await using folder = await project({ 'hello/lib/x': '' })
    await symlink('lib', join(folder.path, 'hello/again'))
    expect(await paths(sourceIn(folder))).toContain('function/again/x')
  })

  test.each([
    ['a folder above', 'hello/sub/up', '..'],
    ['its own folder', 'hello/here', '.'],
  ])('a loop to %s is an error, not an endless copy', async (_, link, target) => {
    await using folder = await project({ 'hello/sub/x': '' })
    await symlink(target, join(folder.path, link))
    await expect(assemble(sourceIn(folder))).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: expect.stringContaining(
        `${join(folder.path, link)} is a symlink back to ${join(folder.path, 'hello')}`,
      ) as string,
    })
  })

  test('a loop over two folders is found', async () => {
    await using folder = await project({ 'hello/a/x': '', 'hello/b/y': '' })
    await symlink('../b', join(folder.path, 'hello/a/b'))
    await symlink('../a', join(folder.path, 'hello/b/a'))
    await expect(assemble(sourceIn(folder))).rejects.toMatchObject({ code: 'BUILD_FAILED' })
  })

  test('a loop that .dockerignore names does not matter, even where exceptions make it be looked into', async () => {
    await using folder = await project({
      'hello/handler.js': '',
      'hello/.dockerignore': 'loop\n!loop/nothing',
    })
    await symlink('.', join(folder.path, 'hello/loop'))
    expect(await paths(sourceIn(folder))).not.toContain('function/loop/')
  })

  test('one that leads nowhere, or to itself, is left out and told', async () => {
    await using folder = await project({ 'hello/handler.js': '' })
    await symlink('user@host.1234', join(folder.path, 'hello/.#handler.js'))
    await symlink('self', join(folder.path, 'hello/self'))
    const { tree, warnings } = await assemble(sourceIn(folder))
    expect(tree.list().map(({ path }) => path)).not.toContain('function/self')
    expect(warnings).toEqual([
      `${join(folder.path, 'hello/.#handler.js')} is left out of the image: it is a symlink that leads nowhere`,
      `${join(folder.path, 'hello/self')} is left out of the image: it is a symlink that leads nowhere`,
    ])
  })

  test('a socket is left out and told', async () => {
    await using folder = await project({ 'hello/handler.js': '' })
    const server = createServer().listen(join(folder.path, 'hello/s.sock'))
    await new Promise((resolve) => server.once('listening', resolve))
    try {
      const { warnings } = await assemble(sourceIn(folder))
      expect(warnings).toEqual([expect.stringContaining('s.sock is left out of the image: it is a socket')])
    } finally {
      server.close()
    }
  })
})

describe('warnings', () => {
  test('node_modules, .venv and .git of the handler are told once each, with the pattern to paste', async () => {
    await using folder = await project({
      'hello/handler.js': '',
      'hello/node_modules/a/1.js': 'x'.repeat(3000),
      'hello/node_modules/a/node_modules/b/2.js': '',
      'hello/.venv/bin/python': '',
      'hello/.git/HEAD': '',
    })
    const { warnings } = await assemble(sourceIn(folder))
    expect(warnings).toEqual([
      expect.stringContaining('function/.git (0 kB) goes into the image'),
      expect.stringContaining('function/.venv'),
      `function/node_modules (3 kB) goes into the image; to leave it out add "**/node_modules" to ${join(folder.path, 'hello')}/.dockerignore`,
    ])
  })

  test('a sample that would answer for want of a handler is told, and named', async () => {
    await using folder = await project({ 'hello/handler.test.js': '', 'hello/index.js': '' })
    expect(await assemble(sourceIn(folder))).toMatchObject({
      warnings: [`handler.js comes from the template: ${join(folder.path, 'hello')} has none`],
      sample: 'handler.js',
    })
  })

  test.each<[string, Record<string, FileSketch>, Partial<FunctionSource>]>([
    ['the handler is its own', { 'hello/handler.js': 'sample' }, {}],
    ['the handler is a folder', { 'hello/handler/index.js': '' }, {}],
    ['a copy brings the handler', { 'hello/x': '', 'handler.js': '' }, { copy: ['handler.js'] }],
    ['the template has no sample', { 'hello/x': '', 'template/go/Dockerfile': '' }, { lang: 'go' }],
    ['there is no template', { 'hello/Dockerfile': '' }, { lang: 'dockerfile' }],
  ])('of a sample there are none where %s', async (_where, files, more) => {
    await using folder = await project(files)
    const { warnings, ...rest } = await assemble(sourceIn(folder, more))
    expect([warnings, 'sample' in rest]).toEqual([[], false])
  })

  test('the template’s own are the template’s affair', async () => {
    await using folder = await project({ 'hello/handler.js': '', 'template/node20/node_modules/a': '' })
    expect((await assemble(sourceIn(folder))).warnings).toEqual([])
  })

  test('an aborted build stops reading the folder', async () => {
    await using folder = await project({ 'hello/handler.js': '' })
    await mkdir(join(folder.path, 'hello/sub'))
    const source = sourceIn(folder)
    const template = await resolveTemplate(source, '/nowhere')
    await expect(
      assembleContext(source, template, IMAGE_LAYOUT, AbortSignal.abort(new Error('saved again'))),
    ).rejects.toThrow('saved again')
  })
})
