import { lstat, mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import type { TestFolder } from '../../test/support/folder.ts'
import { sourceIn } from '../../test/support/function-source.ts'
import { shrinkwrap } from './shrinkwrap.ts'

const project = () =>
  makeFolder({
    'template/node20/Dockerfile': 'FROM scratch\n',
    'template/node20/index.js': { content: 'wrapper', mode: 0o755 },
    'template/node20/lib/x.js': 'x',
    'template/node20/function/handler.js': 'sample',
    'template/node20/function/package.json': '{}',
    'hello/.dockerignore': 'ignored',
    'hello/handler.js': { content: 'mine', mode: 0o600 },
    'hello/ignored': 'Docker’s affair, not faas-cli’s',
    'hello/node_modules/a/index.js': 'a',
    'hello/build/no': '',
    'hello/template/no': '',
    'shared/auth/index.js': 'auth',
    'models/words.txt': 'words',
  })

const helloIn = (folder: TestFolder, copy = ['shared/auth', 'models/words.txt']) =>
  sourceIn(folder, { buildArgs: { A: '1' }, copy })

/** `mode path content`, as a person would compare two folders. */
async function listing(root: string, below = ''): Promise<string[]> {
  const lines: string[] = []
  for (const name of (await readdir(join(root, below))).sort()) {
    const path = join(below, name)
    const found = await lstat(join(root, path))
    const mode = (found.mode & 0o7777).toString(8)
    if (found.isDirectory()) lines.push(`${mode} ${path}/`, ...(await listing(root, path)))
    else
      lines.push(
        `${mode} ${path} ${found.isFile() ? await readFile(join(root, path), 'utf8') : 'NOT A FILE'}`,
      )
  }
  return lines
}

// What faas-cli's own sources do (contract 5.4), step by step: the handler folder before the template, both made 0700;
// folders of template, handler and copies with their own modes; parents of a copied file 0755; files with their own.
const EXPECTED = [
  '644 Dockerfile FROM scratch\n',
  '700 function/',
  '644 function/.dockerignore ignored',
  '600 function/handler.js mine',
  '644 function/ignored Docker’s affair, not faas-cli’s',
  '644 function/linked.js mine too',
  '755 function/models/',
  '644 function/models/words.txt words',
  '755 function/node_modules/',
  '755 function/node_modules/a/',
  '644 function/node_modules/a/index.js a',
  '644 function/package.json {}',
  '755 function/shared/',
  '755 function/shared/auth/',
  '644 function/shared/auth/index.js auth',
  '755 index.js wrapper',
  '755 lib/',
  '644 lib/x.js x',
]

test('the folder is what faas-cli writes, byte for byte and mode for mode', async () => {
  await using folder = await project()
  await folder.write({ 'elsewhere.js': 'mine too' })
  await symlink('../elsewhere.js', join(folder.path, 'hello/linked.js'))
  const target = join(folder.path, 'build/hello')
  const { buildArgs } = await shrinkwrap(helloIn(folder), target, { builtIn: '/nowhere', env: {} })
  expect(await listing(target)).toEqual(EXPECTED)
  expect((await lstat(target)).mode & 0o777).toBe(0o700)
  expect(buildArgs).toEqual({ A: '1', ADDITIONAL_PACKAGE: '' })
})

test('what an earlier run left is gone', async () => {
  await using folder = await project()
  await folder.write({ 'build/hello/function/stale.js': 'old' })
  const target = join(folder.path, 'build/hello')
  await shrinkwrap(helloIn(folder), target, { builtIn: '/nowhere', env: {} })
  expect(await readdir(join(target, 'function'))).not.toContain('stale.js')
})

test('under CI everybody may enter the folders, as far as the umask lets them', async () => {
  await using folder = await project()
  const target = join(folder.path, 'build/hello')
  await shrinkwrap(helloIn(folder), target, { builtIn: '/nowhere', env: { CI: 'true' } })
  await mkdir(join(folder.path, 'open'), { mode: 0o777 })
  const [made, open] = await Promise.all(
    ['build/hello/function', 'open'].map((path) => lstat(join(folder.path, path))),
  )
  expect(made?.mode).toBe(open?.mode)
})

test('a mistake leaves the last folder as it was', async () => {
  await using folder = await project()
  await folder.write({ 'build/hello/kept': 'old' })
  const target = join(folder.path, 'build/hello')
  const failing = shrinkwrap(helloIn(folder, ['nope']), target, { builtIn: '/nowhere', env: {} })
  await expect(failing).rejects.toMatchObject({ code: 'FILE_NOT_READABLE' })
  expect(await readdir(target)).toEqual(['kept'])
})
