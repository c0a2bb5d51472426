import { expect, test } from 'vitest'
import type { FunctionSpec, Revision } from '../../core/function.ts'
import type { Code, RevisionCode } from '../../core/code.ts'
import type { ContainerPlan } from '../../docker/containers.ts'
import type { CodeOverlay } from '../code-change.ts'
import type { PlanContext } from './container-plan.ts'
import { planContainer } from './container-plan.ts'

const context: PlanContext = {
  instance: 'i',
  network: 'n',
  gatewayAddress: undefined,
  route: 'relay',
  publish: false,
  logDriver: 'local',
  fillSecrets: () => Promise.resolve(),
  putCode: () => Promise.resolve(),
  tokenOf: () => 'token',
}

const specWith = (more: Partial<FunctionSpec>): FunctionSpec => ({
  ...{ name: 'a', namespace: 'openfaas-fn', image: 'x', labels: {}, annotations: {} },
  ...more,
})

function plan(more: Partial<FunctionSpec> = {}, imageEnv: Record<string, string> = {}): ContainerPlan {
  return planContainer(
    { id: 'r1', spec: specWith(more), createdAt: '' },
    context,
    new Map(Object.entries(imageEnv)),
  )
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

test('what holds of an image holds of all of its frame when newer code is put in, where the frame is known', async () => {
  const overlay: CodeOverlay = { hash: 'new', folder: '/home/app/function', files: new Map() }
  const wanted: Code = { hash: 'new', way: 'files', folder: overlay.folder, files: new Map() }
  const alike: unknown[] = []
  const putCode: PlanContext['putCode'] = (_overlay, container, like) => {
    alike.push([container, like])
    return Promise.resolve()
  }
  const fill = async (code: RevisionCode): Promise<void> => {
    const revision: Revision = { id: 'r1', spec: specWith({}), createdAt: '', imageId: 'sha256:1', code }
    await planContainer(revision, { ...context, putCode }, new Map(), overlay).overlay?.fill('c1')
  }
  await fill({ wanted, inImage: 'old', frame: 'f' })
  await fill({ wanted, inImage: 'old' })
  expect(alike).toEqual([
    ['c1', 'f'],
    ['c1', 'sha256:1'],
  ])
})
