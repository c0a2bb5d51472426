import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { describeWithTools, tool } from '../support/tools.ts'
import { untilPasses } from '../support/until.ts'
import { useApp } from '../support/use-app.ts'
import type { TestApp } from '../support/use-app.ts'

// The classic way to scale: a real Prometheus scrapes the gateway and evaluates the rule that every OpenFaaS chart
// has, a real Alertmanager tells the gateway. Only the intervals are shorter than in the charts.

const RULES = `
groups:
  - name: openfaas
    rules:
      - alert: APIHighInvocationRate
        expr: sum by(function_name)(rate(gateway_function_invocation_total{code="200"}[10s])) > 5
        for: 2s
        labels: { service: gateway, severity: major }
`

const prometheusConfig = (folder: string, metrics: string, alertmanager: string): string => `
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ['${join(folder, 'rules.yml')}']
scrape_configs:
  - job_name: gateway
    static_configs: [{ targets: ['${metrics}'] }]
alerting:
  alertmanagers: [{ static_configs: [{ targets: ['${alertmanager}'] }] }]
`

const alertmanagerConfig = (gateway: string, password: string): string => `
route: { receiver: scale-up, group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 2s }
receivers:
  - name: scale-up
    webhook_configs:
      - url: ${gateway}/system/alert
        send_resolved: true
        http_config: { basic_auth: { username: admin, password: '${password}' } }
`

const PASSWORD = 'not-a-secret-in-a-test'

describeWithTools('alerts of Prometheus and Alertmanager', ['prometheus', 'prometheus-alertmanager'], () => {
  let app: TestApp
  let folder: TestFolder
  const children: ChildProcess[] = []
  let output = ''

  beforeAll(async () => {
    folder = await makeFolder()
    const [metricsPort, prometheus, alertmanager] = await Promise.all([freePort(), freePort(), freePort()])
    const secrets = { 'basic-auth-user': 'admin', 'basic-auth-password': PASSWORD }
    for (const [name, value] of Object.entries(secrets)) await writeFile(join(folder.path, name), value)
    app = await useApp(
      { hello: { listener: () => (_request, response) => void response.end('hello') } },
      { metricsPort, auth: true, secretMountPath: folder.path },
    )
    await writeFile(join(folder.path, 'rules.yml'), RULES)
    const targets = [`127.0.0.1:${metricsPort}`, `127.0.0.1:${alertmanager}`] as const
    await writeFile(join(folder.path, 'prometheus.yml'), prometheusConfig(folder.path, ...targets))
    await writeFile(join(folder.path, 'alertmanager.yml'), alertmanagerConfig(app.url, PASSWORD))
    start('prometheus', [
      `--config.file=${join(folder.path, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder.path, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${prometheus}`,
    ])
    start('prometheus-alertmanager', [
      `--config.file=${join(folder.path, 'alertmanager.yml')}`,
      `--storage.path=${join(folder.path, 'alerts')}`,
      `--web.listen-address=127.0.0.1:${alertmanager}`,
      '--cluster.listen-address=',
    ])
  })

  afterAll(async () => {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await app[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  function start(name: string, args: readonly string[]): void {
    const child = spawn(tool(name), args, { stdio: ['ignore', 'pipe', 'pipe'] })
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4000)))
    children.push(child)
  }

  test('load on a function scales it up step by step to its maximum, and its end back to the minimum', async () => {
    await app.deploy('busy', 'hello', {
      labels: { 'com.openfaas.scale.max': '4', 'com.openfaas.scale.factor': '50' },
    })
    const seen = new Set<number>()
    const replicas = (): number => {
      const count = app.app.functions.get({ name: 'busy', namespace: 'openfaas-fn' })?.replicas ?? 0
      seen.add(count)
      return count
    }
    await untilPasses(
      async () => {
        // Each look is some load as well: far more than five calls a second.
        for (let i = 0; i < 10; i++)
          expect(await (await fetch(`${app.url}/function/busy`)).text()).toBe('hello')
        expect(replicas(), output).toBe(4)
      },
      { limitMs: 60_000 },
    )
    expect([...seen]).toEqual([1, 3, 4])
    await untilPasses(() => expect(replicas(), output).toBe(1), { limitMs: 60_000 })
  })
})

/** A port that was free a moment ago: these programs cannot say which one they took. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
