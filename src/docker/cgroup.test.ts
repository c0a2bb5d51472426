import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import type { UsageSample } from './cgroup.ts'
import { cgroupReader } from './cgroup.ts'

const ID = 'cb4422521f80a3bf9fb690291207bbd8'

/** A kernel with these files. */
async function withKernel<T>(
  files: Readonly<Record<string, string>>,
  work: (folders: { proc: string; cgroup: string }) => Promise<T>,
): Promise<T> {
  await using folder = await makeFolder()
  for (const [path, text] of Object.entries(files)) {
    const file = join(folder.path, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  return await work({ proc: join(folder.path, 'proc'), cgroup: join(folder.path, 'cgroup') })
}

const sample = (files: Readonly<Record<string, string>>, pid = 42): Promise<UsageSample | undefined> =>
  withKernel(files, async (folders) => (await cgroupReader(ID, pid, folders))?.())

test('one tree of control groups', async () => {
  const folder = `cgroup/system.slice/docker-${ID}.scope`
  expect(
    await sample({
      'proc/42/cgroup': `0::/system.slice/docker-${ID}.scope\n`,
      [`${folder}/cpu.stat`]: 'usage_usec 1500\nuser_usec 1000\n',
      [`${folder}/memory.current`]: '5000\n',
      [`${folder}/memory.stat`]: 'anon 1\ninactive_file 2000\n',
    }),
  ).toEqual({ cpuNanos: 1_500_000, memoryBytes: 3000, atNanos: expect.any(Number) as number })
})

test.each([
  [
    'one controller each',
    `4:memory:/docker/${ID}\n2:cpuacct:/docker/${ID}\n1:cpu:/docker/${ID}\n0::/docker/${ID}\n`,
    'cpuacct',
  ],
  ['two in one', `4:memory:/docker/${ID}\n2:cpu,cpuacct:/docker/${ID}\n`, 'cpu,cpuacct'],
])('a tree for each controller: %s', async (_what, groups, cpu) => {
  expect(
    await sample({
      'proc/42/cgroup': groups,
      [`cgroup/${cpu}/docker/${ID}/cpuacct.usage`]: '123456\n',
      [`cgroup/memory/docker/${ID}/memory.usage_in_bytes`]: '5000\n',
      [`cgroup/memory/docker/${ID}/memory.stat`]: 'inactive_file 1\ntotal_inactive_file 1000\n',
    }),
  ).toMatchObject({ cpuNanos: 123_456, memoryBytes: 4000 })
})

test('a process that is not the container’s says nothing about it', async () => {
  expect(await sample({ 'proc/42/cgroup': '0::/user.slice\n' })).toBeUndefined()
  expect(await sample({})).toBeUndefined()
  expect(await sample({ 'proc/0/cgroup': `0::/docker-${ID}.scope\n` }, 0)).toBeUndefined()
  // The group is there, and its counters are not: nothing is better than zero.
  expect(await sample({ 'proc/42/cgroup': `0::/docker-${ID}.scope\n` })).toBeUndefined()
})

test('a reader says nothing any more when the container has ended', async () => {
  const folder = `cgroup/docker-${ID}.scope`
  const files = {
    'proc/42/cgroup': `0::/docker-${ID}.scope\n`,
    [`${folder}/cpu.stat`]: 'usage_usec 1500\n',
    [`${folder}/memory.current`]: '5000\n',
  }
  const read = await withKernel(files, async (folders) => {
    const reader = await cgroupReader(ID, 42, folders)
    expect(await reader?.()).toMatchObject({ cpuNanos: 1_500_000 })
    return reader
  })
  expect(await read?.()).toBeUndefined()
})
