import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { lockDataDir } from './data-lock.ts'
import { forsakenDataDirs, noteProject, removeForsaken } from './project-note.ts'

/** A project with a data directory in its usual place, where a `dev` has run. */
async function makeProject(): Promise<
  AsyncDisposable & {
    all: string
    dataDir: string
    project: string
    usualDirOf: (stackFile: string) => string
    note: string
    list: () => unknown
    remove: () => void
  }
> {
  const folder = await makeFolder()
  const all = join(folder.path, 'data/dev')
  const project = join(folder.path, 'work/shop')
  mkdirSync(project, { recursive: true })
  const dataDir = join(all, 'shop')
  const file = join(project, 'stack.yml')
  const usualDirOf = (stackFile: string): string => (stackFile === file ? dataDir : join(all, 'another'))
  using _lock = lockDataDir(dataDir)
  noteProject(dataDir, file)
  writeFileSync(join(dataDir, 'registry.db'), 'precious')
  return {
    all,
    dataDir,
    project,
    usualDirOf,
    note: join(dataDir, 'project.json'),
    list: () => forsakenDataDirs(all, usualDirOf),
    remove: () => removeForsaken(dataDir, usualDirOf),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}

test('a data directory is forsaken when the folder of its project was deleted, and is deleted only then', async () => {
  await using made = await makeProject()
  expect(made.list()).toEqual([])
  made.remove()
  rmSync(made.project, { recursive: true })
  expect(made.list()).toEqual([{ dataDir: made.dataDir, project: made.project }])
  expect(existsSync(join(made.dataDir, 'registry.db'))).toBe(true)
  made.remove()
  expect(existsSync(made.dataDir)).toBe(false)
  expect(made.list()).toEqual([])
})

describe('it is not', () => {
  test('while somebody runs with it', async () => {
    await using made = await makeProject()
    rmSync(made.project, { recursive: true })
    {
      using _lock = lockDataDir(made.dataDir)
      expect(made.list()).toEqual([])
      made.remove()
      expect(existsSync(join(made.dataDir, 'registry.db'))).toBe(true)
    }
    expect(made.list()).toHaveLength(1)
  })

  test('when only the stack file is gone, or the project came back after it was listed', async () => {
    await using made = await makeProject()
    expect(made.list()).toEqual([])
    rmSync(made.project, { recursive: true })
    expect(made.list()).toHaveLength(1)
    mkdirSync(made.project)
    made.remove()
    expect(existsSync(join(made.dataDir, 'registry.db'))).toBe(true)
  })

  test('when the folder above is gone too, as on a drive that is away', async () => {
    await using made = await makeProject()
    renameSync(join(made.project, '..'), `${made.all}-away`)
    expect(made.list()).toEqual([])
    made.remove()
    expect(existsSync(made.dataDir)).toBe(true)
  })

  test.each([
    ['was on a drive of which there is now only the place', (note: object) => ({ ...note, device: -1 })],
    ['is another machine’s', (note: object) => ({ ...note, host: 'other' })],
    ['is of another stack file', (note: object) => ({ ...note, file: '/gone/stack.yml' })],
    ['says nothing', () => null],
    ['says nothing of use', () => ({ file: 1 })],
  ])('when it %s', async (_what, change) => {
    await using made = await makeProject()
    rmSync(made.project, { recursive: true })
    const note = JSON.parse(readFileSync(made.note, 'utf8')) as object
    writeFileSync(made.note, JSON.stringify(change(note)))
    expect(made.list()).toEqual([])
    made.remove()
    expect(existsSync(made.dataDir)).toBe(true)
  })

  test('when it was last used by a version that wrote nothing down', async () => {
    await using made = await makeProject()
    rmSync(made.project, { recursive: true })
    rmSync(made.note)
    expect(made.list()).toEqual([])
  })

  test('when it is a link to somewhere else', async () => {
    await using made = await makeProject()
    rmSync(made.project, { recursive: true })
    renameSync(made.dataDir, `${made.all}-elsewhere`)
    symlinkSync(`${made.all}-elsewhere`, made.dataDir)
    expect(made.list()).toEqual([])
  })
})

test('where no data directories are, none is forsaken', () => {
  expect(forsakenDataDirs('/nowhere/at/all', () => '')).toEqual([])
})
