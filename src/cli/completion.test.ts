import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cli, temporaryFolder } from '../../test/support/cli.ts'
import { startFakeGateway } from '../../test/support/fake-gateway.ts'

/** What is offered in place of the last word. */
async function offered(...words: string[]): Promise<string[]> {
  const { code, out, err } = await cli(['completion', '--words', '--', ...words])
  expect([code, err]).toEqual([0, ''])
  return out
    .trim()
    .split('\n')
    .map((line) => line.split('\t')[0] ?? '')
}

describe('completion offers', () => {
  test('commands, and those of a group as deep as groups go', async () => {
    expect(await offered('')).toEqual(expect.arrayContaining(['dev', 'deploy', 'secret', 'completion']))
    expect(await offered('secret', '')).toEqual(['list', 'create', 'update', 'remove', 'apply', 'generate'])
    expect(await offered('-n', 'dev', 'template', 'store', '')).toEqual(['list', 'pull', 'describe'])
    expect(await offered('ns', '')).toContain('create')
  })

  test('flags of the command and of all commands, hidden ones not', async () => {
    const flags = await offered('up', '--')
    expect(flags).toEqual(expect.arrayContaining(['--tag', '--push', '--gateway', '--filter']))
    expect(flags).not.toContain('--watch')
    expect(await offered('-')).toContain('--gateway')
  })

  test('values that a flag may have, however a shell splits it', async () => {
    const modes = ['latest', 'sha', 'branch', 'describe', 'digest']
    expect(await offered('up', '--tag', '')).toEqual(modes)
    expect(await offered('up', '--tag', '=', '')).toEqual(modes)
    expect(await offered('up', '--tag', '=', 'sh')).toEqual(modes)
    expect(await offered('up', '--tag=s')).toEqual(modes.map((mode) => `--tag=${mode}`))
    expect(await offered('completion', '')).toEqual(['bash', 'zsh', 'fish', 'powershell'])
  })

  test('files where a file may stand', async () => {
    expect(await offered('-f', '')).toEqual([':files'])
    expect(await offered('template', 'pull', '')).toEqual([':files'])
  })

  test('names at the gateway that the line says, and none where nobody answers', async () => {
    await using gateway = await startFakeGateway()
    gateway.functions.set('a', { name: 'a', image: 'x' })
    gateway.secrets.set('key', Buffer.from('x'))
    gateway.namespaces.set('dev', { name: 'dev' })
    const at = ['-g', gateway.url]
    expect(await offered(...at, 'describe', '')).toEqual(['a'])
    expect(await offered('remove', 'b', ...at, '')).toEqual(['a'])
    expect(await offered('scale', ...at, '')).toEqual(['a'])
    expect(await offered('secret', 'rm', ...at, 'k')).toEqual(['key'])
    expect(await offered('deploy', ...at, '--secret', '')).toEqual(['key'])
    expect(await offered('list', ...at, '-n', '')).toEqual(['openfaas-fn', 'dev'])
    expect(await offered('describe', '-g', 'http://127.0.0.1:9', '')).toEqual([''])
  })
})

test('a shell that is not known is refused, and named with those that are', async () => {
  for (const argv of [['completion'], ['completion', 'tcsh'], ['completion', '--shell', 'tcsh']]) {
    const { code, out, err } = await cli(argv)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain('bash, zsh, fish, powershell')
  }
  expect((await cli(['completion', '--shell', 'zsh'])).out).toBe((await cli(['completion', 'zsh'])).out)
})

describe('the script of', () => {
  /** A program of our name that offers what it is asked with, and two commands. */
  const STAND_IN =
    '#!/bin/sh\nshift 3\nprintf "%s\\n" "$*" >> "$ASKED"\nprintf "deploy\\tdeploy: functions\\ndescribe\\tx\\n"\n'

  async function setUp(
    shell: string,
  ): Promise<{ path: string; run: (script: string) => string } & AsyncDisposable> {
    const folder = await temporaryFolder()
    await mkdir(join(folder.path, 'bin'))
    await writeFile(join(folder.path, 'bin/faasdock'), STAND_IN, { mode: 0o755 })
    await writeFile(join(folder.path, 'script'), (await cli(['completion', shell])).out)
    const env = {
      PATH: `${folder.path}/bin:${process.env['PATH'] ?? ''}`,
      ASKED: join(folder.path, 'asked'),
      HOME: folder.path,
    }
    const flags = { bash: ['--norc', '-c'], zsh: ['-f', '-c'], fish: ['--no-config', '-c'] }[shell] ?? []
    return {
      path: folder.path,
      run: (script) => execFileSync(shell, [...flags, script], { env, cwd: folder.path, encoding: 'utf8' }),
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    }
  }

  const has = (shell: string): boolean => {
    try {
      execFileSync(shell, ['-c', 'true'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  }

  test('bash fills in what begins as the word does', async () => {
    await using at = await setUp('bash')
    const out = at.run(
      '. ./script; COMP_WORDS=(faasdock up --tag = dep); COMP_CWORD=4; _faasdock; echo "${COMPREPLY[@]}"; cat asked',
    )
    expect(out).toBe('deploy\nup --tag = dep\n')
  })

  test.skipIf(!has('zsh'))('zsh asks with the words so far, and describes what it is offered', async () => {
    await using at = await setUp('zsh')
    const out = at.run(
      'compdef() { :; }; . ./script; _describe() { print -rl -- "${(@P)2}"; }; words=(faasdock secret ""); CURRENT=3; _faasdock; cat asked',
    )
    expect(out).toBe('deploy:deploy: functions\ndescribe:x\nsecret \n')
  })

  test.skipIf(!has('fish'))('fish completes a command line', async () => {
    await using at = await setUp('fish')
    expect(at.run('source script; complete -C "faasdock secret d"; cat asked')).toBe(
      'deploy\tdeploy: functions\ndescribe\tx\nsecret d\n',
    )
  })
})
