import { expect, test } from 'vitest'
import { unmetConstraint } from './constraints.ts'

const node = { architecture: 'amd64', hostname: 'here' }

test.each([
  'node.platform.os == linux',
  'node.platform.arch == x86_64',
  'kubernetes.io/arch=amd64',
  'beta.kubernetes.io/os=linux',
  'node.hostname != there',
  'node.labels.disk == ssd',
  'what is this',
])('%s is met', (constraint) => expect(unmetConstraint([constraint], node)).toBeUndefined())

test.each([
  'node.platform.os == windows',
  'node.platform.arch==aarch64',
  'kubernetes.io/arch=arm64',
  'node.hostname == there',
  'node.platform.os != linux',
])('%s is not met, and is named', (constraint) =>
  expect(unmetConstraint(['node.platform.os == linux', constraint], node)).toBe(constraint),
)
