import { join } from 'node:path'
import { createApp } from '../../src/app.ts'
import type { App } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import type { MemoryImage } from '../../src/provider/memory/memory-provider.ts'
import { MemoryQueue } from '../../src/queue/memory-queue.ts'
import { MemoryProvider } from '../../src/provider/memory/memory-provider.ts'
import { makeFolder } from './folder.ts'

export interface TestApp extends AsyncDisposable {
  readonly app: App
  readonly url: string
  readonly port: number
  readonly provider: MemoryProvider
  /** Asks the control API with a JSON body. */
  ask(method: string, path: string, body?: unknown): Promise<Response>
  /** Deploys an image under a name and waits until it answers. */
  deploy(name: string, image: string, more?: Record<string, unknown>): Promise<void>
}

/** The whole platform in this process, on a free port, over the memory provider. */
export async function useApp(
  images: Readonly<Record<string, MemoryImage>>,
  flags: Readonly<Record<string, string | number | boolean>> = {},
): Promise<TestApp> {
  const folder = await makeFolder()
  const provider = new MemoryProvider({ images, drainMs: 500 })
  const config = readConfig({
    env: {},
    cwd: folder.path,
    flags: { port: 0, metricsPort: 'off', data: join(folder.path, 'data'), drainTimeout: '500ms', ...flags },
  })
  const app = await createApp(config, { provider, queue: new MemoryQueue() })
  const ask: TestApp['ask'] = (method, path, body) =>
    fetch(app.url + path, {
      method,
      redirect: 'manual',
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  return {
    app,
    url: app.url,
    port: Number(new URL(app.url).port),
    provider,
    ask,
    deploy: async (service, image, more = {}) => {
      await app.functions.deploy({
        name: service,
        namespace: 'openfaas-fn',
        image,
        labels: {},
        annotations: {},
        ...more,
      }).settled
    },
    [Symbol.asyncDispose]: async () => {
      await app[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    },
  }
}
