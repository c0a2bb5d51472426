import { expect, test } from 'vitest'
import type { FunctionSpec } from '../../core/function.ts'
import type { ContainerPlan } from '../../docker/containers.ts'
import { planContainer } from './container-plan.ts'

function plan(more: Partial<FunctionSpec> = {}, imageEnv: Record<string, string> = {}): ContainerPlan {
  const spec = { name: 'a', namespace: 'openfaas-fn', image: 'x', labels: {}, annotations: {}, ...more }
  const context = {
    instance: 'i',
    network: 'n',
    gatewayAddress: undefined,
    route: 'relay',
    publish: false,
    logDriver: 'local',
    fillSecrets: () => Promise.resolve(),
    putCode: () => Promise.resolve(),
    tokenOf: () => 'token',
  } as const
  return planContainer({ id: 'r1', spec, createdAt: '' }, context, new Map(Object.entries(imageEnv)))
}

const buffers = ({ env }: ContainerPlan): string[] => env.filter((line) => line.startsWith('log_buffer_size'))

test('a watchdog gets a log buffer of some megabytes, unless the user or the image set one', () => {
  expect(buffers(plan())).toEqual(['log_buffer_size=4194304'])
  expect(buffers(plan({ envVars: { log_buffer_size: '1024' } }))).toEqual(['log_buffer_size=1024'])
  // The image's own value stays by not being said.
  expect(buffers(plan({}, { log_buffer_size: '2048' }))).toEqual([])
})

test('only a function with secrets has a folder for them', () => {
  expect(plan().folder).toBeUndefined()
  expect(plan({ secrets: [] }).labels).not.toHaveProperty('com.faasdock.secrets')
  const { folder, labels } = plan({ secrets: ['one', 'two'] })
  expect(folder).toMatchObject({ path: '/var/openfaas/secrets', labels: { 'com.faasdock.role': 'secrets' } })
  expect(labels['com.faasdock.secrets']).toBe('one,two')
})
