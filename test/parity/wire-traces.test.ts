import { expect, test } from 'vitest'
import { BARE, describeParity } from './support/platforms.ts'

// Contract 1.13: what faas-cli sends for each command, in its order and with its headers, and what it needs to see.

const AGENT = { 'User-Agent': 'faas-cli/0.16.36', 'Content-Type': 'application/json' }

/** `$` is a function that is deployed, `@` its image, `%` a name of the test's own. */
type Step = readonly [method: string, path: string, body: unknown, status: number, answer?: RegExp]

const mark = { labels: { openfaas: '1' }, annotations: { openfaas: '1' } }
const bare = { service: '%', image: '@', ...BARE }

const TRACES: Readonly<Record<string, readonly Step[]>> = {
  'deploy of a new function, then of one that is there': [
    ['PUT', '/system/functions', bare, 404],
    ['POST', '/system/functions', bare, 202],
    ['PUT', '/system/functions', bare, 202],
  ],
  'deploy --replace --update=false': [
    ['POST', '/system/functions', bare, 202],
    ['DELETE', '/system/functions', { functionName: '%' }, 202],
    ['POST', '/system/functions', bare, 202],
  ],
  'list, and list -n': [
    ['GET', '/system/functions', undefined, 200, /"name":"\$"/],
    ['GET', '/system/functions?namespace=openfaas-fn', undefined, 200, /"name":"\$"/],
  ],
  'describe, and describe -n': [
    ['GET', '/system/function/$?usage=1', undefined, 200, /"availableReplicas":1/],
    ['GET', '/system/functions', undefined, 200, /"name":"\$"/],
    ['GET', '/system/function/$?namespace=openfaas-fn&usage=1', undefined, 200, /"name":"\$"/],
  ],
  'remove, twice': [
    ['POST', '/system/functions', bare, 202],
    ['DELETE', '/system/functions', { functionName: '%', namespace: 'openfaas-fn' }, 202],
    ['DELETE', '/system/functions', { functionName: '%', namespace: 'openfaas-fn' }, 404],
  ],
  'invoke, and invoke -a': [
    ['POST', '/function/$.openfaas-fn', 'text', 200],
    ['POST', '/async-function/$.openfaas-fn', 'text', 202],
  ],
  'logs without following': [
    ['GET', '/system/logs?follow=false&name=$&since=2030-01-01T00%3A00%3A00Z&tail=5', undefined, 200],
    ['GET', '/system/logs?follow=false&name=$&tail=-1', undefined, 200],
  ],
  'secret list, create, update, remove': [
    ['GET', '/system/secrets', undefined, 200, /^\[/],
    ['POST', '/system/secrets', { name: '%', value: 'v', rawValue: 'dgo=' }, 202],
    ['POST', '/system/secrets', { name: '%', value: 'v', rawValue: 'dgo=' }, 409],
    ['PUT', '/system/secrets', { name: '%', value: 'w', rawValue: 'dwo=' }, 202],
    ['DELETE', '/system/secrets', { name: '%' }, 202],
    ['DELETE', '/system/secrets', { name: '%' }, 404],
  ],
  'namespace list, create, get, update, remove': [
    ['GET', '/system/namespaces', undefined, 200, /openfaas-fn/],
    ['POST', '/system/namespace/', { name: '%', ...mark }, 201],
    ['GET', '/system/namespace/%', undefined, 200, /"openfaas":"1"/],
    ['PUT', '/system/namespace/%', { name: '%', ...mark, annotations: { a: 'b' } }, 202],
    ['DELETE', '/system/namespace/%', { name: '%', ...mark }, 202],
  ],
  'login, ready and version': [
    ['GET', '/system/functions', undefined, 200],
    ['GET', '/healthz', undefined, 200],
    ['GET', '/system/function/$?usage=1', undefined, 200, /"availableReplicas":1/],
    ['GET', '/system/info', undefined, 200, /"provider"/],
  ],
}

describeParity('1.13 what faas-cli sends', (platform) => {
  test.each(Object.entries(TRACES))('%s', async (_command, steps) => {
    const { image } = platform()
    const fn = await platform().deploy()
    const own = platform().name()
    const filled = (text: string): string =>
      text.replaceAll('$', fn).replaceAll('@', image).replaceAll('%', own)
    for (const [method, path, body, status, shows] of steps) {
      // A `%` of the path that encodes something is followed by two digits.
      const target = path.replaceAll('$', fn).replace(/%(?![0-9A-F]{2})/g, own)
      const sent =
        body === undefined ? undefined : filled(typeof body === 'string' ? body : JSON.stringify(body))
      const isCall = target.includes('function/') && method === 'POST'
      const answer = await platform().ask(
        method,
        target,
        sent,
        isCall ? { ...AGENT, 'Content-Type': 'text/plain' } : AGENT,
      )
      expect([method, target, answer.status, answer.body]).toEqual([method, target, status, answer.body])
      if (shows) expect(answer.body).toMatch(new RegExp(shows.source.replace('\\$', fn)))
    }
  })
})
