import { chmod, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { ensureNats, natsCheck } from './nats.ts'

const NOBODY = { kind: 'linux', root: false, hasDockerd: false, systemd: false } as const

test('where nothing may be installed, nothing is, and nothing fails', async () => {
  const said: string[] = []
  await ensureNats({ PATH: '/nowhere' }, (line) => said.push(line), NOBODY)
  await ensureNats({ PATH: '/nowhere', FAASDOCK_INSTALL_ENGINE: '0' }, (line) => said.push(line), {
    ...NOBODY,
    kind: 'debian',
    root: true,
  })
  await ensureNats({ NATS_URL: 'nats://127.0.0.1:4222' }, (line) => said.push(line), {
    ...NOBODY,
    kind: 'debian',
    root: true,
  })
  expect(said).toEqual([])
})

const IMAGE = 'nats:2-test'

test('doctor says that a container is used where there is no program, and what to do where neither is', async () => {
  const env = { PATH: '/nowhere', FAASDOCK_NATS_SERVER: '/nowhere/nats-server' }
  expect(await natsCheck(env, IMAGE, () => Promise.resolve(true))).toEqual({
    name: 'async calls',
    ok: 'ok',
    detail: 'no nats-server on the PATH: kept by a container of nats:2-test',
  })
  const missing = await natsCheck(env, IMAGE, () => Promise.resolve(false))
  expect(missing).toMatchObject({ ok: 'warn', detail: expect.stringContaining('503') as string })
  expect(missing.remedy).toContain('docker pull nats:2-test')
})

test('doctor names the program and its version, and one that does not run', async () => {
  await using folder = await makeFolder()
  const file = join(folder.path, 'nats-server')
  await writeFile(file, '#!/bin/sh\necho "nats-server: v2.99.1"\n')
  await chmod(file, 0o755)
  expect(await natsCheck({ PATH: folder.path }, IMAGE, () => Promise.resolve(false))).toEqual({
    name: 'async calls',
    ok: 'ok',
    detail: `${file} (v2.99.1)`,
  })
  await writeFile(file, '#!/bin/sh\nexit 3\n')
  expect(await natsCheck({ PATH: folder.path }, IMAGE, () => Promise.resolve(false))).toMatchObject({
    ok: 'fail',
  })
})

test('doctor asks the server that NATS_URL names, and tells no password', async () => {
  const ask = (env: NodeJS.ProcessEnv): ReturnType<typeof natsCheck> =>
    natsCheck(env, IMAGE, () => Promise.resolve(false))
  const greetings = ['INFO {"jetstream":true}\r\n', 'INFO {"version":"2.9.10"}\r\n', 'HTTP/1.1 400\r\n\r\n']
  let greeting = ''
  await using server = createServer((socket) => socket.end(greeting))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const place = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const said: string[] = []
  for (greeting of greetings) {
    const { ok, detail } = await ask({ NATS_URL: `nats://me:secret@127.0.0.1:1, nats://me:secret@${place}` })
    said.push(`${ok} ${detail}`)
  }
  expect(said).toEqual([
    `ok kept by the NATS server at ${place} (NATS_URL)`,
    expect.stringMatching(/^fail .*503.*127\.0\.0\.1:1: ECONNREFUSED; .* JetStream is switched off$/),
    expect.stringContaining('it is no NATS server'),
  ])
  expect(said.join()).not.toContain('secret')
  expect(await ask({ NATS_URL: '::::' })).toMatchObject({ ok: 'fail' })
})
