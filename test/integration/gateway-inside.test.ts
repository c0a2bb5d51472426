import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { makeEngine } from '../../src/docker/client.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import { buildHello } from '../support/hello-image.ts'

/** A platform on Docker with one function, `inside`, that fetches what it is told to. */
async function withFunction(
  flags: Record<string, string | number | boolean>,
  work: (fetchInside: (url: string) => Promise<{ ok: string; status: number }>, app: App) => Promise<void>,
): Promise<void> {
  await using images = await buildHello(makeEngine(dockerAddress()), randomBytes(3).toString('hex'))
  await using folder = await makeFolder()
  const own = { port: 0, metricsPort: 'off', data: join(folder.path, 'data') }
  await using app = await createApp(
    readConfig({ env: process.env, cwd: folder.path, flags: { ...own, ...flags } }),
  )
  await app.functions.deploy({
    name: 'inside',
    namespace: 'openfaas-fn',
    image: images.image,
    labels: {},
    annotations: {},
    envVars: { WORD: 'from inside' },
  }).settled
  await work(async (url) => {
    const response = await fetch(`${app.url}/function/inside/fetch?url=${encodeURIComponent(url)}`)
    return (await response.json()) as { ok: string; status: number }
  }, app)
}

describeDocker('the gateway as a function sees it', () => {
  test('calls are open, and the control routes ask for the login that a connector is given', () =>
    withFunction({}, async (fetchInside, app) => {
      for (const name of ['gateway.openfaas', 'gateway', 'gateway.openfaas.svc.cluster.local']) {
        expect(await fetchInside(`http://${name}:8080/function/inside`)).toMatchObject({
          status: 200,
          ok: expect.stringContaining('from inside') as string,
        })
        expect(await fetchInside(`http://${name}:8080/system/functions`)).toEqual({
          status: 401,
          ok: 'invalid credentials',
        })
      }
      expect(await fetchInside('http://gateway.openfaas:8080/healthz')).toMatchObject({ status: 200 })
      const password = readFileSync(join(app.dataDir, 'basic-auth-password'), 'utf8')
      expect(
        await fetchInside(`http://admin:${password}@gateway.openfaas:8080/system/functions`),
      ).toMatchObject({ status: 200, ok: expect.stringContaining('"inside"') as string })
      // This machine's own users are asked for nothing.
      expect((await fetch(`${app.url}/system/functions`)).status).toBe(200)
      const usage = (await (await fetch(`${app.url}/system/function/inside?usage=1`)).json()) as {
        usage: { totalMemoryBytes: number }
      }
      expect(usage.usage.totalMemoryBytes).toBeGreaterThan(2 ** 20)
    }))

  test('without any login where somebody said so', () =>
    withFunction({ auth: false }, async (fetchInside) => {
      expect(await fetchInside('http://gateway.openfaas:8080/system/functions')).toMatchObject({
        status: 200,
      })
    }))
})
