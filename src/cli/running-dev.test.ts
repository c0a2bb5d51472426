import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { cli, temporaryFolder } from '../../test/support/cli.ts'
import { startFakeGateway } from '../../test/support/fake-gateway.ts'
import { dataDirOf } from '../config.ts'

afterEach(() => vi.unstubAllEnvs())

const STACK =
  'provider:\n  name: openfaas\n  gateway: http://127.0.0.1:8080\nfunctions:\n  a:\n    image: a:1\n'

/** A folder with a stack file, and what a `dev` with that file leaves in its data directory. */
async function projectWithDev(root: string, url: string, pid = process.pid): Promise<string> {
  vi.stubEnv('XDG_DATA_HOME', join(root, 'xdg'))
  const project = join(root, 'project')
  const dataDir = dataDirOf(project, 'stack.yaml', undefined)
  for (const folder of [project, dataDir]) await mkdir(folder, { recursive: true })
  await writeFile(join(project, 'stack.yaml'), STACK)
  await writeFile(join(dataDir, 'owner.json'), JSON.stringify({ pid, url, startedAt: '' }))
  return project
}

test('commands go to the gateway of the dev of this stack file, also while it is being written', async () => {
  await using gateway = await startFakeGateway()
  await using scratch = await temporaryFolder()
  const cwd = await projectWithDev(scratch.path, gateway.url)
  expect(await cli(['list', '--json'], { cwd })).toMatchObject({ code: 0, out: '[]\n' })
  await writeFile(join(cwd, 'stack.yaml'), 'functions: [')
  expect(await cli(['list', '--json'], { cwd })).toMatchObject({ code: 0, out: '[]\n' })
  await writeFile(join(cwd, 'stack.yaml'), STACK)
  const from = { cwd: scratch.path }
  expect(await cli(['list', '--json', '-f', 'project/stack.yaml'], from)).toMatchObject({ out: '[]\n' })
})

test('whoever names a gateway gets that one, whatever dev runs', async () => {
  await using gateway = await startFakeGateway()
  await using scratch = await temporaryFolder()
  const cwd = await projectWithDev(scratch.path, gateway.url)
  const nowhere = 'http://127.0.0.1:1'
  expect((await cli(['list', '-g', nowhere], { cwd })).err).toContain(nowhere)
  expect((await cli(['list'], { cwd, env: { OPENFAAS_URL: nowhere } })).err).toContain(nowhere)
  await writeFile(join(cwd, 'stack.yaml'), STACK.replace(':8080', ':1'))
  expect((await cli(['list'], { cwd })).err).toContain(nowhere)
})

test('a dev of another stack file, or one that was killed, is not this project’s', async () => {
  await using gateway = await startFakeGateway()
  await using scratch = await temporaryFolder()
  const cwd = await projectWithDev(scratch.path, gateway.url)
  await writeFile(join(cwd, 'other.yaml'), STACK)
  await cli(['list', '-f', 'other.yaml'], { cwd })
  expect(gateway.seen).toEqual([])
  // No process has this id: it is above every limit.
  await projectWithDev(scratch.path, gateway.url, 2 ** 30)
  await cli(['list'], { cwd })
  expect(gateway.seen).toEqual([])
})
