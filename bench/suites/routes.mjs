import { createServer } from 'node:http'
import { mkdtempSync, rmSync } from 'node:fs'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startProgram } from '../program.mjs'
import { writeStack } from '../stack.mjs'
import { result } from '../statistics.mjs'

/** Every control route with 200 functions on Docker, next to a bare node:http server asked in the same way. */
export async function run({ quick }) {
  const [functions, times] = quick ? [20, 15] : [200, 101]
  const folder = mkdtempSync(join(tmpdir(), 'faasdock-bench-'))
  const bare = createServer((_, answer) => answer.end('{}')).listen(0, '127.0.0.1')
  await once(bare, 'listening')
  try {
    const stack = writeStack(folder, functions)
    const data = join(folder, 'data')
    const program = await startProgram(['dev', '-f', stack, '--port', '0', '--data', data, '--no-watch'])
    try {
      const baseline = {
        name: 'node:http',
        samples: await ask(times, `http://127.0.0.1:${bare.address().port}`, { path: '/' }),
      }
      const results = []
      for (const route of ROUTES) {
        const samples = await ask(times, program.url, route)
        results.push(
          result({
            name: route.name ?? `${route.method ?? 'GET'} ${route.path}`,
            unit: 'ms',
            samples,
            baseline,
          }),
        )
      }
      return results
    } finally {
      await program.stop()
    }
  } finally {
    bare.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const mark = { openfaas: '1' }
/** `body` may depend on the count of the request, so that each of them does something. */
const ROUTES = [
  { path: '/system/functions' },
  { path: '/system/function/hello-1' },
  // Each of them asked for the first time.
  { name: 'GET /system/function/NAME?usage=1', path: (i) => `/system/function/hello-${i}?usage=1` },
  {
    name: 'POST /system/functions',
    method: 'POST',
    path: '/system/functions',
    // Nobody has the image: what is measured is the answer, not what goes on behind it.
    body: (i) => ({ service: `bench-${i}`, image: 'faasdock-bench-nothing:none' }),
  },
  {
    method: 'PUT',
    path: '/system/functions',
    body: (i) => ({ service: `bench-${i}`, image: 'faasdock-bench-nothing:none', labels: { again: 'yes' } }),
  },
  { method: 'DELETE', path: '/system/functions', body: (i) => ({ functionName: `bench-${i}` }) },
  {
    method: 'POST',
    path: '/system/scale-function/hello-1',
    body: () => ({ serviceName: 'hello-1', replicas: 1 }),
  },
  { path: '/system/info' },
  { method: 'POST', path: '/system/secrets', body: (i) => ({ name: `bench-${i}`, value: 'x' }) },
  { method: 'PUT', path: '/system/secrets', body: (i) => ({ name: `bench-${i}`, value: 'y' }) },
  { path: '/system/secrets' },
  { method: 'DELETE', path: '/system/secrets', body: (i) => ({ name: `bench-${i}` }) },
  { path: '/system/namespaces' },
  {
    method: 'POST',
    path: '/system/namespace/',
    body: (i) => ({ name: `bench-${i}`, labels: mark, annotations: mark }),
  },
  { path: '/system/namespace/openfaas-fn' },
  {
    method: 'PUT',
    path: (i) => `/system/namespace/bench-${i}`,
    name: 'PUT /system/namespace/NAME',
    body: (i) => ({ name: `bench-${i}`, labels: mark, annotations: mark }),
  },
  {
    method: 'DELETE',
    path: (i) => `/system/namespace/bench-${i}`,
    name: 'DELETE /system/namespace/NAME',
    body: (i) => ({ name: `bench-${i}`, labels: mark }),
  },
  { path: '/system/logs?name=hello-1&follow=false&tail=10' },
  {
    method: 'POST',
    path: '/system/alert',
    body: () => ({
      status: 'resolved',
      alerts: [{ status: 'resolved', labels: { function_name: 'hello-1.openfaas-fn' } }],
    }),
  },
  { path: '/healthz' },
  { path: '/ui/' },
  { path: '/metrics' },
]

async function ask(times, url, { method = 'GET', path, body }) {
  const samples = []
  for (let i = 0; i < times; i++) {
    const target = url + (typeof path === 'function' ? path(i) : path)
    const init = { method, ...(body && { body: JSON.stringify(body(i)) }) }
    const began = performance.now()
    const answer = await fetch(target, init)
    await answer.text()
    samples.push(performance.now() - began)
    if (!answer.ok) throw new Error(`${method} ${target} answered ${answer.status}`)
  }
  return samples
}
