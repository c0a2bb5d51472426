import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { MemoryProvider } from '../../src/provider/memory/memory-provider.ts'
import type { MemoryImage } from '../../src/provider/memory/memory-provider.ts'
import { cli, eventually, startCli, temporaryFolder } from '../support/cli.ts'

// Commands against the real gateway, registry and engine; only the containers are servers in this process.

const echo: MemoryImage = {
  listener: (_revision, log) => (request, response) => {
    log(`called ${request.url ?? ''}`)
    request.pipe(response)
  },
}
const dead: MemoryImage = { ...echo, start: () => Promise.reject(new Error('it ends at once')) }

async function openApp(dataDir: string): Promise<App> {
  const config = readConfig({ env: {}, cwd: dataDir, flags: { port: 0, data: join(dataDir, 'data') } })
  const provider = new MemoryProvider({ images: { 'fn/echo:1': echo, 'fn/echo:2': echo, 'fn/dead:1': dead } })
  return createApp(config, { provider })
}

async function makeStack(folder: string, gateway: string): Promise<void> {
  const text = `version: 1.0
provider:
  name: openfaas
  gateway: ${gateway}
functions:
  echo:
    image: fn/echo:1
    labels:
      team: mobile
  other:
    image: fn/echo:2
`
  await writeFile(join(folder, 'stack.yaml'), text)
}

test('a stack is deployed, looked at, called, followed and removed', async () => {
  await using folder = await temporaryFolder()
  await using app = await openApp(folder.path)
  await makeStack(folder.path, app.url)
  const at = { cwd: folder.path }

  const deployed = await cli(['deploy'], at)
  expect([deployed.code, deployed.err]).toEqual([0, ''])
  expect(deployed.out).toContain(`✓ echo  ready  ${app.url}/function/echo`)

  const listed = await cli(['list', '--json'], at)
  expect(JSON.parse(listed.out)).toMatchObject([
    { name: 'echo', state: 'ready', availableReplicas: 1 },
    { name: 'other', state: 'ready' },
  ])
  const invoked = await cli(['invoke', 'echo', '--path', '/x', '-d', '中文'], at)
  expect([invoked.code, invoked.out, invoked.err]).toEqual([0, '中文', ''])
  const described = await cli(['describe', 'echo'], at)
  expect(described.out).toMatch(/^Invocations: +1$/m)
  expect(described.out).toMatch(/^Labels: +team=mobile$/m)

  const logs = await cli(['logs', 'echo', '--tail=false', '-o', 'json'], at)
  expect(JSON.parse(logs.out)).toMatchObject({ name: 'echo', text: 'called /x' })
  const followed = startCli(['logs', 'echo', 'other'], at)
  await eventually(() => followed.stdout.text.includes('called /x'))
  await cli(['invoke', 'other', '-d', 'x', '--path', '/later'], at)
  await eventually(() => /other called \/later/.test(followed.stdout.text))
  followed.interrupt()
  expect(await followed.exit).toBe(130)

  const removed = await cli(['remove'], at)
  expect([removed.code, removed.out]).toEqual([0, 'removed echo\nremoved other\n'])
  expect(JSON.parse((await cli(['list', '--json'], at)).out)).toEqual([])
})

test('an update that does not start fails with its problem, and status keeps showing it', async () => {
  await using folder = await temporaryFolder()
  await using app = await openApp(folder.path)
  const at = ['-g', app.url]
  await cli(['deploy', '--image', 'fn/echo:1', '--name', 'echo', ...at])
  const broken = await cli(['deploy', '--image', 'fn/dead:1', '--name', 'echo', ...at])
  expect(broken.code).not.toBe(0)
  expect(broken.err).toContain('it ends at once')
  const described = await cli(['describe', 'echo', ...at])
  expect(described.out).toMatch(/^State: +failing, last good version answers$/m)
  expect((await cli(['invoke', 'echo', '-d', 'still', ...at])).out).toBe('still')
})

test('an image that is nowhere, and a secret that does not exist, are named', async () => {
  await using folder = await temporaryFolder()
  await using app = await openApp(folder.path)
  const at = ['-g', app.url]
  const image = await cli(['deploy', '--image', 'fn/none:1', '--name', 'none', ...at])
  expect([image.code, image.err]).toEqual([1, expect.stringContaining('IMAGE_NOT_FOUND')])
  const argv = ['deploy', '--image', 'fn/echo:1', '--name', 'echo', '--secret', 'key', ...at]
  const secret = await cli(argv)
  expect([secret.code, secret.err]).toEqual([1, expect.stringContaining('"key"')])
  await cli(['secret', 'create', 'key', '--from-literal', 'x', ...at])
  expect((await cli(argv)).code).toBe(0)
})

test('secrets keep their bytes, and their values are never told', async () => {
  await using folder = await temporaryFolder()
  await using app = await openApp(folder.path)
  const at = ['-g', app.url]
  expect((await cli(['secret', 'create', 'key', '--trim=false', ...at], { stdin: ' s3cr3t\n' })).code).toBe(0)
  const again = await cli(['secret', 'create', 'key', '--from-literal', 'x', ...at])
  expect([again.code, again.err]).toEqual([1, expect.stringContaining('SECRET_EXISTS')])
  const listed = await cli(['secret', 'list', '--json', '-v', ...at])
  expect(JSON.parse(listed.out)).toEqual([{ name: 'key', namespace: 'openfaas-fn' }])
  expect(listed.out + listed.err).not.toContain('s3cr3t')
  const unknown = await cli(['secret', 'update', 'none', '--from-literal', 'x', ...at])
  expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('SECRET_NOT_FOUND')])
})

test('the version names the gateway', async () => {
  await using folder = await temporaryFolder()
  await using app = await openApp(folder.path)
  const { out } = await cli(['version', '-g', app.url])
  expect(out).toMatch(/^gateway +0\.1\.0 \(faas-docker .* on memory/m)
})
