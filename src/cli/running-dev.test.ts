import { mkdir, rm, writeFile } from 'node:fs/promises'
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

test('commands go to the gateway of the dev of this stack file, also while it is being written, or gone', async () => {
  await using gateway = await startFakeGateway()
  await using scratch = await temporaryFolder()
  const cwd = await projectWithDev(scratch.path, gateway.url)
  expect(await cli(['list', '--json'], { cwd })).toMatchObject({ code: 0, out: '[]\n' })
  await writeFile(join(cwd, 'stack.yaml'), 'functions: [')
  expect(await cli(['list', '--json'], { cwd })).toMatchObject({ code: 0, out: '[]\n' })
  await rm(join(cwd, 'stack.yaml'))
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

test('what is no gateway is said without its page, and where a dev runs', async () => {
  await using dev = await startFakeGateway()
  await using page = await startFakeGateway()
  page.intercept = (_request, response) => {
    response.writeHead(404, { 'content-type': 'text/html; charset=utf-8' }).end('<html>not here')
    return true
  }
  await using scratch = await temporaryFolder()
  await projectWithDev(scratch.path, dev.url)
  const from = { cwd: scratch.path, env: { OPENFAAS_URL: page.url } }
  for (const argv of [
    ['list'],
    ['describe', 'm-search'],
    ['remove', 'm-search'],
    ['invoke', 'm-search', '-d', ''],
  ]) {
    const { code, out, err } = await cli(argv, from)
    expect({ argv, code, out }).toEqual({ argv, code: 1, out: '' })
    expect(err).toContain(
      `error GATEWAY_REFUSED: what answers at ${page.url} is no OpenFaaS gateway (404, text/html)\n` +
        `→ A "faasdock dev" of yours runs at ${dev.url}: name it with -g ${dev.url}, or OPENFAAS_URL.\n`,
    )
  }
  vi.stubEnv('XDG_DATA_HOME', join(scratch.path, 'empty'))
  expect((await cli(['list'], from)).err).toContain('→ Name the gateway with -g or OPENFAAS_URL')
})

test('a page that a function answers behind a gateway is the function’s', async () => {
  await using gateway = await startFakeGateway()
  gateway.intercept = (_request, response) => {
    response.writeHead(404, { 'content-type': 'text/html', 'x-duration-seconds': '0.1' }).end('<html>mine')
    return true
  }
  const { err } = await cli(['invoke', 'echo', '-d', '', '-g', gateway.url])
  expect(err).toContain('echo answered 404:\n<html>mine')
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
