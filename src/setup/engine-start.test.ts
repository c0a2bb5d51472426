import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { socketAddress } from '../docker/engine-address.ts'
import type { HostFacts } from '../docker/engine-host.ts'
import { engineFarewell, readEngineNote, writeEngineNote } from './engine-note.ts'
import { mayProvideEngine, startDockerd } from './engine-start.ts'
import { setup } from './setup.ts'

let folder: string
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'engine-'))))
afterEach(() => rm(folder, { recursive: true, force: true }))

const bare: HostFacts = { kind: 'debian', root: true, hasDockerd: false, systemd: false }

describe('an engine is installed', () => {
  test.each<[string, HostFacts, Record<string, string>, boolean]>([
    ['as root on Debian', bare, {}, true],
    ['not when refused with 0', bare, { FAASDOCK_INSTALL_ENGINE: '0' }, false],
    ['not when refused with No', bare, { FAASDOCK_INSTALL_ENGINE: 'No' }, false],
    ['not as a user', { ...bare, root: false }, {}, false],
    ['not on another Linux', { ...bare, kind: 'linux' }, {}, false],
    ['not on a Mac', { ...bare, kind: 'macos' }, {}, false],
  ])('%s', (_, host, env, may) => {
    expect(mayProvideEngine(host, env)).toBe(may)
  })

  test('not instead of one that was asked for and does not answer', async () => {
    const said: string[] = []
    const asking = setup({
      env: { DOCKER_HOST: `unix://${folder}/none.sock` },
      home: folder,
      images: [],
      announce: (line) => void said.push(line),
    })
    await expect(asking).rejects.toMatchObject({ code: 'ENGINE_NOT_FOUND' })
    expect(said).toEqual([])
  })
})

test('a dockerd that ends at once is SETUP_FAILED with its last words', async () => {
  const options = {
    engine: socketAddress(join(folder, 'd.sock')),
    log: join(folder, 'log'),
    args: ['--no-such-flag'],
  }
  await writeFile(options.log, '')
  await expect(startDockerd(options)).rejects.toMatchObject({
    code: 'SETUP_FAILED',
    message: expect.stringContaining('dockerd did not come up') as string,
    remedy: expect.stringContaining(options.log) as string,
  })
})

describe('the farewell', () => {
  const file = (): string => join(folder, 'note.json')

  test('is none when faasdock started no engine', () => {
    expect(engineFarewell(0, file())).toBeUndefined()
  })

  test('says how to stop an engine of systemd', async () => {
    await writeEngineNote({ installed: true, how: 'systemctl' }, file())
    expect(engineFarewell(0, file())).toBe(
      'The Docker engine that faasdock installed stays. Stop it with: systemctl stop docker',
    )
  })

  test('is for the run that started the engine, and no later one', async () => {
    await writeEngineNote({ installed: false, how: 'systemctl' }, file())
    const { mtimeMs } = await stat(file())
    expect(engineFarewell(mtimeMs - 1, file())).toContain('that faasdock started stays')
    expect(engineFarewell(mtimeMs + 1, file())).toBeUndefined()
  })

  test('is none when the process is gone or another one has its id', async () => {
    await writeEngineNote({ installed: false, how: 'dockerd', pid: process.pid, log: '/l' }, file())
    expect(readEngineNote(file())).toBeUndefined()
    expect(engineFarewell(0, file())).toBeUndefined()
  })
})
