import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../../test/support/folder.ts'
import { editorsInUse, projectFolder } from './configuration.ts'
import type { DebugConfiguration } from './configuration.ts'
import { mergeRunConfiguration } from './jetbrains.ts'
import { writeConfigurations } from './write-configurations.ts'

const configuration = (localRoot: string, more: Partial<DebugConfiguration> = {}): DebugConfiguration => ({
  title: 'faasdock: m-search',
  language: 'node',
  host: '127.0.0.1',
  port: 9229,
  remoteRoot: '/home/app/function',
  localRoot,
  ...more,
})

test('editors are found by what they left in the project, or by their terminal', async () => {
  await using folder = await makeFolder({ 'shop/.git/HEAD': '', 'shop/fn/stack.yml': '' })
  const root = join(folder.path, 'shop/fn')
  expect(editorsInUse(root, {})).toEqual([])
  expect(editorsInUse(root, { TERM_PROGRAM: 'vscode' })).toEqual(['vscode'])
  expect(editorsInUse(root, { TERMINAL_EMULATOR: 'JetBrains-JediTerm' })).toEqual(['jetbrains'])
  await mkdir(join(folder.path, 'shop/.vscode'))
  expect(editorsInUse(root, {})).toEqual(['vscode'])
  expect(projectFolder('vscode', root)).toBe(join(folder.path, 'shop'))
  expect(projectFolder('jetbrains', root)).toBe(root)
  // What is above the repository is another project's.
  await mkdir(join(folder.path, '.idea'))
  expect(projectFolder('jetbrains', root)).toBe(root)
})

test('files are written once, and left alone when they say it all', async () => {
  await using folder = await makeFolder({ 'fn/handler.js': '' })
  const one = configuration(join(folder.path, 'fn'))
  const launch = join(folder.path, '.vscode/launch.json')
  expect(await writeConfigurations('vscode', folder.path, [one])).toEqual([{ path: launch, change: 'made' }])
  const { mtimeMs } = await stat(launch)
  expect(await writeConfigurations('vscode', folder.path, [one])).toEqual([{ path: launch, change: 'same' }])
  expect((await stat(launch)).mtimeMs).toBe(mtimeMs)
  expect(await writeConfigurations('vscode', folder.path, [{ ...one, port: 9333 }])).toEqual([
    { path: launch, change: 'changed' },
  ])
})

test('a file that cannot be understood is not lost', async () => {
  await using folder = await makeFolder({ '.vscode/launch.json': '{ "configurations": [' })
  await expect(writeConfigurations('vscode', folder.path, [configuration(folder.path)])).rejects.toThrow(
    /left as it is/,
  )
  expect(await readFile(join(folder.path, '.vscode/launch.json'), 'utf8')).toBe('{ "configurations": [')
})

test('JetBrains gets a file for each function', async () => {
  await using folder = await makeFolder()
  const node = configuration(join(folder.path, 'a & b'))
  const python = configuration(join(folder.path, 'pinyin'), {
    title: 'faasdock: pinyin',
    language: 'python',
    port: 9230,
  })
  const files = await writeConfigurations('jetbrains', folder.path, [node, python])
  const [nodeFile = '', pythonFile = ''] = files.map(({ path }) => path)
  expect(nodeFile).toBe(join(folder.path, '.idea/runConfigurations/faasdock_m_search.xml'))
  const text = await readFile(nodeFile, 'utf8')
  expect(text).toContain(
    'type="ChromiumRemoteDebugType" factoryName="Chromium Remote" host="127.0.0.1" port="9229"',
  )
  expect(text).toContain('<mapping url="file:///home/app/function" local-file="$PROJECT_DIR$/a &amp; b" />')
  expect(await readFile(pythonFile, 'utf8')).toContain(
    '<option name="remoteAddress" value="127.0.0.1:9230" />',
  )
  // By hand, then with other ports.
  await writeFile(nodeFile, text.replace('restartOnDisconnect="true"', 'restartOnDisconnect="false"'))
  await writeConfigurations('jetbrains', folder.path, [
    { ...node, port: 9400 },
    { ...python, port: 9401 },
  ])
  expect(await readFile(nodeFile, 'utf8')).toBe(
    text.replace('restartOnDisconnect="true"', 'restartOnDisconnect="false"').replace('9229', '9400'),
  )
  expect(await readFile(pythonFile, 'utf8')).toContain('value="127.0.0.1:9401"')
})

test('a run configuration that has become something else is left alone', () => {
  const text = '<component><configuration name="faasdock: m-search" type="Other" /></component>'
  expect(mergeRunConfiguration(text, configuration('/x'), '/')).toBe(text)
})
