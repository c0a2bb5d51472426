import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { createApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { MemoryProvider } from '../../src/provider/memory/memory-provider.ts'
import { MemoryQueue } from '../../src/queue/memory-queue.ts'
import { createToolbox } from '../../src/toolbox.ts'
import { describeDocker } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'

const STACK = 'provider: { name: openfaas }\nfunctions: { a: { image: a:1, skip_build: true } }\n'

afterEach(() => vi.unstubAllEnvs())

describeDocker('gc', () => {
  test('lists the data folder of a dev whose project was deleted, and removes that one only', async () => {
    await using folder = await makeFolder()
    vi.stubEnv('XDG_DATA_HOME', join(folder.path, 'data'))
    const projects = ['deleted', 'there'].map((name) => join(folder.path, name))
    const dataDirs: string[] = []
    for (const project of projects) {
      mkdirSync(project)
      const file = join(project, 'stack.yml')
      writeFileSync(file, STACK)
      const config = readConfig({
        env: {},
        cwd: project,
        flags: { port: 0, metricsPort: 'off' },
        stack: { file, substitute: true },
      })
      dataDirs.push(config.dataDir)
      await using app = await createApp(config, {
        provider: new MemoryProvider({ images: {} }),
        queue: new MemoryQueue(),
      })
      await app.dev?.settled()
    }
    const [deleted = '', there = ''] = dataDirs
    await using toolbox = await createToolbox({ env: process.env })
    const folders = async () => (await toolbox.gc.list()).filter(({ kind }) => kind === 'folder')
    expect(await folders()).toEqual([])
    rmSync(join(folder.path, 'deleted'), { recursive: true })
    const found = await folders()
    const reason = `its project ${join(folder.path, 'deleted')} is gone`
    expect(found).toEqual([{ kind: 'folder', id: deleted, name: deleted, reason }])
    expect(existsSync(deleted)).toBe(true)
    await toolbox.gc.remove([...found, { kind: 'folder', id: there, name: there, reason }])
    expect([existsSync(deleted), existsSync(there)]).toEqual([false, true])
  })
})
