import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import type { TestFolder } from '../../test/support/folder.ts'
import { parseTagMode, taggedImage } from './tag.ts'
import type { TagMode } from './tag.ts'

const FILES = { 'hello/b.js': 'B', 'hello/a/x.js': 'X' }

function git(folder: TestFolder, ...args: string[]): string {
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com', '-c', 'commit.gpgsign=false']
  return execFileSync('git', [...identity, ...args], { cwd: folder.path, encoding: 'utf8' }).trim()
}

function commit(folder: TestFolder, branch = 'main'): string {
  git(folder, 'init', '-q')
  git(folder, 'checkout', '-q', '-b', branch)
  git(folder, 'add', '.')
  git(folder, 'commit', '-q', '-m', 'First')
  return git(folder, 'rev-parse', '--short', 'HEAD')
}

function tagged(folder: TestFolder, mode: TagMode, image = 'registry:5000/me/hello:1.0') {
  return taggedImage({ image, handler: join(folder.path, 'hello'), root: folder.path }, mode)
}

describe('the image’s tag', () => {
  test('latest is as written, and :latest when nothing is', async () => {
    await using folder = await makeFolder(FILES)
    expect(await tagged(folder, 'latest')).toBe('registry:5000/me/hello:1.0')
    expect(await tagged(folder, 'latest', 'registry:5000/me/hello')).toBe('registry:5000/me/hello:latest')
    expect(await tagged(folder, 'latest', 'hello')).toBe('hello:latest')
  })

  test('sha, branch and describe say the commit', async () => {
    await using folder = await makeFolder(FILES)
    const sha = commit(folder, 'feature/new-thing')
    expect(await tagged(folder, 'sha')).toBe(`registry:5000/me/hello:1.0-${sha}`)
    expect(await tagged(folder, 'branch', 'hello')).toBe(`hello:latest-feature-new-thing-${sha}`)
    expect(await tagged(folder, 'describe')).toBe(`registry:5000/me/hello:1.0-${sha}`)
    git(folder, 'tag', 'v1.2.3')
    expect(await tagged(folder, 'describe')).toBe('registry:5000/me/hello:1.0-v1.2.3')
  })

  test('digest replaces the tag with faas-cli’s MD5 of the handler, without git', async () => {
    await using folder = await makeFolder(FILES)
    const md5 = (text: string) => createHash('md5').update(text).digest('hex')
    const digest = md5(md5('X') + md5('B'))
    expect(await tagged(folder, 'digest')).toBe(`registry:5000/me/hello:${digest}`)
    await folder.write({ 'hello/b.js': 'changed' })
    expect(await tagged(folder, 'digest')).not.toContain(digest)
  })

  test.each(['sha', 'branch', 'describe'] as const)(
    '%s outside of a repository says what to do',
    async (mode) => {
      await using folder = await makeFolder(FILES)
      await expect(tagged(folder, mode)).rejects.toMatchObject({
        code: 'BAD_USAGE',
        message: expect.stringContaining(
          `--tag ${mode} needs a git repository with a commit, and ${folder.path}`,
        ) as string,
        remedy: expect.stringContaining('git init') as string,
      })
    },
  )

  test('a repository without a commit is told as well', async () => {
    await using folder = await makeFolder(FILES)
    git(folder, 'init', '-q')
    await expect(tagged(folder, 'sha')).rejects.toMatchObject({ code: 'BAD_USAGE' })
  })
})

describe('the value of --tag', () => {
  test.each([
    ['', 'latest'],
    ['default', 'latest'],
    ['SHA', 'sha'],
    ['digest', 'digest'],
  ])('%j is %s', (text, mode) => expect(parseTagMode(text)).toBe(mode))

  test('an unknown one is refused with the nearest', () => {
    expect(() => parseTagMode('brnch')).toThrow(
      expect.objectContaining({
        code: 'BAD_USAGE',
        remedy: expect.stringContaining('Did you mean branch?') as string,
      }),
    )
  })
})
