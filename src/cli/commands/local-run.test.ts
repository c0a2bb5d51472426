import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cli, eventually, startCli, temporaryFolder } from '../../../test/support/cli.ts'
import { makeFakeApp, makeFakeToolbox, roomsOf } from '../../../test/support/fake-rooms.ts'
import { startFakeGateway } from '../../../test/support/fake-gateway.ts'
import { openFrontDoor } from '../front-door.ts'

const STACK =
  'version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n  a:\n    image: fn/a:1\n    environment: {X: "1"}\n  b:\n    image: fn/b:1\n'

test('one function runs on a platform of its own, answers at the root of its own address, and is gone after Ctrl-C', async () => {
  await using gateway = await startFakeGateway()
  gateway.functions.set('a', { name: 'a' })
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'stack.yaml'), STACK)
  const app = makeFakeApp(gateway.url)
  app.settle()
  const rooms = roomsOf({ app, toolbox: makeFakeToolbox() })
  const started = startCli(['local-run', 'a', '-p', '0', '-e', 'Y=2', '--json'], { cwd: folder.path, rooms })
  const line = await eventually(() => /\{"type":"local-run.ready".*/.exec(started.stdout.text)?.[0])
  const { url } = JSON.parse(line) as { url: string }
  const answer = await fetch(`${url}/deep/path?q=1`, { method: 'PUT', body: 'hello' })
  expect([answer.status, await answer.text()]).toEqual([200, 'hello'])
  expect(gateway.seen.at(-1)?.line).toBe('PUT /function/a/deep/path?q=1')

  const { flags, stack } = app.settings ?? {}
  expect(flags).toMatchObject({ port: 0, watch: false, data: expect.stringContaining('local-run') as string })
  expect(stack).toMatchObject({ filter: 'a' })
  const spec = { name: 'a', namespace: 'openfaas-fn', image: 'fn/a:1', labels: {}, annotations: {} }
  const adjusted = await stack?.adjust?.({ spec: { ...spec, envVars: { X: '1' } } })
  expect(adjusted?.spec.envVars).toEqual({ X: '1', Y: '2' })

  started.interrupt()
  expect(await started.exit).toBe(0)
  expect(app.stopped).toEqual([true])
  await expect(fetch(url)).rejects.toThrow()
})

test('a function that does not build is not said to answer', async () => {
  await using gateway = await startFakeGateway()
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'stack.yaml'), STACK)
  const app = makeFakeApp(gateway.url)
  app.undeployed.push({ ref: { name: 'a', namespace: 'openfaas-fn' } })
  app.settle()
  const rooms = roomsOf({ app, toolbox: makeFakeToolbox() })
  const started = startCli(['local-run', 'a', '-p', '0'], { cwd: folder.path, rooms })
  const texts = (): string => started.stdout.text + started.stderr.text
  await eventually(() => /^nothing answers at http.* yet$/m.test(texts()))
  expect(texts()).not.toContain('a answers at')
  started.interrupt()
  expect(await started.exit).toBe(0)
})

test('a port that is taken is said before anything stays behind', async () => {
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'stack.yaml'), STACK)
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const { port } = other.address() as AddressInfo
  const app = makeFakeApp('http://127.0.0.1:9')
  const rooms = roomsOf({ app, toolbox: makeFakeToolbox() })
  const { code, err } = await cli(['local-run', 'b', '-p', String(port)], { cwd: folder.path, rooms })
  other.close()
  expect([code, err]).toEqual([1, expect.stringContaining('PORT_TAKEN')])
  expect(app.stopped).toEqual([true])
})

test('a function that cannot be reached is a 502 of the door', async () => {
  await using door = await openFrontDoor(0, 'http://127.0.0.1:9/function/a')
  const answer = await fetch(door.url)
  expect([answer.status, await answer.text()]).toEqual([502, expect.stringContaining('cannot be reached')])
})
