import { execFileSync } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support/cli.ts'
import { tagImage } from './image-tag.ts'

test.each([
  ['team/a', 'team/a:latest'],
  ['team/a:1', 'team/a:1'],
  ['host:5000/a', 'host:5000/a:latest'],
  ['host:5000/a@sha256:abc', 'host:5000/a@sha256:abc'],
])('without a mode %s is %s', async (image, tagged) => {
  expect(await tagImage(image, 'latest', '/')).toBe(tagged)
})

test('the digest of a handler is the one of faas-cli', async () => {
  await using folder = await temporaryFolder()
  const files = { a: 'one', 'a.b': 'three', '.dot': '', 'sub/b': 'two' }
  await mkdir(join(folder.path, 'sub'))
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder.path, name), content)
  await symlink('a', join(folder.path, 'link'))
  // As "faas-cli generate --tag digest" said for these files.
  expect(await tagImage('x/f:1', 'digest', folder.path, folder.path)).toBe(
    'x/f:2217bc1ea7e1152e55c0226541acc361',
  )
})

test('commit, branch and description are added to the tag, and need a repository', async () => {
  await using folder = await temporaryFolder()
  const git = (...args: string[]): string =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
      cwd: folder.path,
      encoding: 'utf8',
    })
  await expect(tagImage('x/f:1', 'sha', folder.path)).rejects.toMatchObject({ code: 'BAD_USAGE' })
  git('init', '-q', '-b', 'feature/x')
  git('commit', '-q', '--allow-empty', '-m', 'one')
  const sha = git('rev-parse', '--short', 'HEAD').trim()
  expect(await tagImage('x/f:1', 'sha', folder.path)).toBe(`x/f:1-${sha}`)
  expect(await tagImage('x/f', 'branch', folder.path)).toBe(`x/f:latest-feature-x-${sha}`)
  expect(await tagImage('x/f:1', 'describe', folder.path)).toBe(`x/f:1-${sha}`)
  git('tag', 'v2')
  expect(await tagImage('x/f:1', 'describe', folder.path)).toBe('x/f:1-v2')
})
