import { describe, expect, test } from 'vitest'
import type { HostFacts } from './engine-host.ts'
import { isDebianLike } from './engine-host.ts'
import { engineNotFound } from './engine-missing.ts'
import type { EngineAttempt } from './engine-missing.ts'

const missing: EngineAttempt = {
  source: 'Docker',
  address: 'unix:///var/run/docker.sock',
  outcome: 'missing',
  detail: 'no such file',
}
const colima: EngineAttempt = {
  ...missing,
  source: 'Colima',
  address: 'unix:///h/.colima/default/docker.sock',
}
const host: HostFacts = { kind: 'debian', root: true, hasDockerd: false, systemd: false }

describe('the command to paste', () => {
  test.each<[string, HostFacts, string]>([
    ['root on Debian', host, 'Run: npx faasdock setup'],
    ['a user on Debian', { ...host, root: false }, 'sudo apt-get install -y docker.io'],
    [
      'an engine that is installed, with systemd',
      { ...host, hasDockerd: true, systemd: true },
      'Run: systemctl start docker',
    ],
    [
      'an engine that is installed, without systemd',
      { ...host, root: false, hasDockerd: true },
      "sudo sh -c 'dockerd",
    ],
    ['another Linux', { ...host, kind: 'linux' }, 'Install Docker Engine or Podman'],
    ['a Mac', { ...host, kind: 'macos' }, 'brew install colima'],
    ['Windows', { ...host, kind: 'windows' }, 'winget install'],
    ['WSL', { ...host, kind: 'wsl' }, 'WSL integration'],
  ])('fits %s', (_, facts, expected) => {
    expect(engineNotFound([missing, colima], facts).remedy).toContain(expected)
  })

  test('is the group when permission was denied, wherever that was in the order', () => {
    const denied: EngineAttempt = { ...colima, outcome: 'denied', detail: 'permission denied' }
    const { remedy } = engineNotFound([missing, denied], { ...host, root: false })
    expect(remedy).toContain('sudo usermod -aG docker "$USER"')
    expect(remedy).toContain('/h/.colima/default/docker.sock')
  })

  test('does not advise to install anything when the user named the engine', () => {
    const { remedy } = engineNotFound(
      [{ ...missing, source: 'DOCKER_CONTEXT "far"', outcome: 'timeout' }],
      host,
    )
    expect(remedy).toContain('correct DOCKER_CONTEXT, or leave it out')
    expect(remedy).not.toContain('install')
  })
})

test('every attempt is a line with its place and its reason', () => {
  expect(engineNotFound([missing, colima], host).message.split('\n')).toEqual([
    'no Docker engine answers. Tried, in this order:',
    '  Docker  unix:///var/run/docker.sock            missing: no such file',
    '  Colima  unix:///h/.colima/default/docker.sock  missing: no such file',
  ])
})

test.each([
  ['ID=debian\nVERSION_ID="12"\n', true],
  ['ID=ubuntu\nID_LIKE=debian\n', true],
  ['NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n', true],
  ['ID="fedora"\n', false],
  ['ID=alpine\nNAME="not debian"\n', false],
  ['', false],
])('Debian is told by os-release %j', (text, expected) => {
  expect(isDebianLike(text)).toBe(expected)
})
