import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support/cli.ts'
import type { TemplatePull } from '../core/toolbox.ts'
import { pullTemplates } from './pull-templates.ts'

const never = new AbortController().signal
const env = { PATH: process.env['PATH'], HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1' }

function git(cwd: string, ...args: string[]): string {
  const who = ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'init.defaultBranch=main']
  return execFileSync('git', [...who, ...args], { cwd, env, encoding: 'utf8' }).trim()
}

function addTemplate(root: string, name: string, content = 'one'): void {
  const folder = join(root, 'template', name)
  mkdirSync(join(folder, 'function'), { recursive: true })
  writeFileSync(join(folder, 'template.yml'), `language: ${name}\n`)
  writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\n')
  writeFileSync(join(folder, 'function', 'handler'), content)
}

/** A repository with the templates `a` and `b`, tagged 1.0, and a commit after it. */
function makeRepository(path: string): { first: string } {
  mkdirSync(path)
  git(path, 'init', '-q')
  addTemplate(path, 'a')
  addTemplate(path, 'b')
  git(path, 'add', '-A')
  git(path, 'commit', '-qm', 'one')
  git(path, 'tag', '1.0')
  const first = git(path, 'rev-parse', 'HEAD')
  git(path, 'checkout', '-qb', 'feature/x')
  addTemplate(path, 'a', 'two')
  git(path, 'commit', '-qam', 'two')
  return { first }
}

async function setUp(): Promise<
  {
    path: string
    root: string
    pull: (more: Partial<TemplatePull>) => ReturnType<typeof pullTemplates>
  } & AsyncDisposable
> {
  const folder = await temporaryFolder()
  const root = join(folder.path, 'project')
  mkdirSync(root)
  return {
    path: folder.path,
    root,
    pull: (more) =>
      pullTemplates({ source: '', cwd: folder.path, root, overwrite: false, ...more }, env, never),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}

const handlerOf = (root: string, name: string): string =>
  readFileSync(join(root, 'template', name, 'function/handler'), 'utf8')
const metaOf = (root: string, name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(root, 'template', name, 'meta.json'), 'utf8')) as Record<string, unknown>

describe('templates come from', () => {
  test('a repository, a bare one, and its address', async () => {
    await using place = await setUp()
    makeRepository(join(place.path, 'repo'))
    git(place.path, 'clone', '-q', '--bare', 'repo', 'bare.git')
    const head = git(join(place.path, 'repo'), 'rev-parse', 'HEAD')
    for (const source of ['./repo', 'bare.git', `file://${place.path}/bare.git`]) {
      const pulled = await place.pull({ source, overwrite: true })
      expect(pulled, source).toMatchObject({ written: ['a', 'b'], kept: [] })
      expect(handlerOf(place.root, 'a')).toBe('two')
      expect(metaOf(place.root, 'a')).toEqual({
        repository: pulled.repository,
        sha: head,
        written_at: expect.stringMatching(/^\d{4}-/) as string,
      })
    }
  })

  test('a folder that is no repository, as it is', async () => {
    await using place = await setUp()
    addTemplate(join(place.path, 'plain'), 'mine')
    expect(await place.pull({ source: 'plain' })).toMatchObject({ written: ['mine'] })
    expect(Object.keys(metaOf(place.root, 'mine'))).toEqual(['repository', 'written_at'])
  })

  test('a tag, a branch or a commit, kept beside the newest', async () => {
    await using place = await setUp()
    const { first } = makeRepository(join(place.path, 'repo'))
    await place.pull({ source: 'repo#1.0', only: 'a' })
    await place.pull({ source: 'repo#feature/x', only: 'a' })
    await place.pull({ source: `repo#sha-${first.slice(0, 9)}`, only: 'a', as: 'pinned' })
    expect(readdirSync(join(place.root, 'template')).sort()).toEqual(['a@1.0', 'a@feature-x', 'pinned'])
    expect([handlerOf(place.root, 'a@1.0'), handlerOf(place.root, 'a@feature-x')]).toEqual(['one', 'two'])
    expect(metaOf(place.root, 'a@1.0')).toMatchObject({ ref_name: '1.0', sha: first })
    expect(handlerOf(place.root, 'pinned')).toBe('one')
  })
})

test('what is there stays unless it is to be overwritten, and nothing of the old one is left then', async () => {
  await using place = await setUp()
  makeRepository(join(place.path, 'repo'))
  addTemplate(place.root, 'a', 'edited by hand')
  writeFileSync(join(place.root, 'template/a/extra'), '')
  expect(await place.pull({ source: 'repo' })).toMatchObject({ written: ['b'], kept: ['a'] })
  expect(handlerOf(place.root, 'a')).toBe('edited by hand')
  expect(await place.pull({ source: 'repo', overwrite: true })).toMatchObject({ written: ['a', 'b'] })
  expect(handlerOf(place.root, 'a')).toBe('two')
  expect(readdirSync(join(place.root, 'template')).sort()).toEqual(['a', 'b'])
  expect(readdirSync(join(place.root, 'template/a'))).not.toContain('extra')
})

describe('is refused, with nothing left behind:', () => {
  test.each([
    ['a folder that is not there', { source: './none' }, /neither an address nor a folder/],
    ['an option', { source: '--upload-pack=touch x' }, /neither an address nor a folder/],
    ['a ref that is an option', { source: 'repo#--upload-pack=x' }, /cannot be the name of a branch/],
    ['a ref that is not there', { source: 'repo#9.9' }, /could not be fetched[^]*9\.9/],
    ['a template that is not there', { source: 'repo', only: 'c' }, /holds no template "c"/],
    ['a folder without templates', { source: 'empty' }, /it has no folder template\/NAME/],
    [
      'an address where nobody answers',
      { source: 'http://user:pw@127.0.0.1:9/x#1' },
      /of http:\/\/127\.0\.0\.1:9\/x at 1 could/,
    ],
  ])('%s', async (_what, wish, message) => {
    await using place = await setUp()
    makeRepository(join(place.path, 'repo'))
    mkdirSync(join(place.path, 'empty'))
    await expect(place.pull(wish)).rejects.toMatchObject({
      code: 'TEMPLATE_PULL_FAILED',
      message: expect.stringMatching(message) as string,
    })
    expect(readdirSync(place.root)).toEqual([])
  })

  test('a template with a link out of its repository', async () => {
    await using place = await setUp()
    writeFileSync(join(place.path, 'private'), 'mine')
    addTemplate(join(place.path, 'evil'), 'a')
    symlinkSync('../../../../private', join(place.path, 'evil/template/a/function/data'))
    await expect(place.pull({ source: 'evil' })).rejects.toMatchObject({ code: 'BAD_TEMPLATE' })
    expect(readdirSync(join(place.root, 'template'))).toEqual([])
  })
})

test('a link inside of the repository becomes what it points to', async () => {
  await using place = await setUp()
  addTemplate(join(place.path, 'plain'), 'a')
  writeFileSync(join(place.path, 'plain/shared'), 'shared')
  symlinkSync('../../shared', join(place.path, 'plain/template/a/link'))
  await place.pull({ source: 'plain' })
  expect(readFileSync(join(place.root, 'template/a/link'), 'utf8')).toBe('shared')
})

test('a pull that is stopped says so and leaves nothing', async () => {
  await using place = await setUp()
  makeRepository(join(place.path, 'repo'))
  const stopped = AbortSignal.abort(new Error('stopped'))
  await expect(
    pullTemplates({ source: 'repo', cwd: place.path, root: place.root, overwrite: false }, env, stopped),
  ).rejects.toThrow('stopped')
  expect(readdirSync(place.root)).toEqual([])
})
