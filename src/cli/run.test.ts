import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { cli } from '../../test/support/cli.ts'
import { startFakeGateway } from '../../test/support/fake-gateway.ts'
import { COMMANDS } from './command-table.ts'
import type { Entry } from './command.ts'
import { globalOptions } from './global-flags.ts'

const entries = COMMANDS.flatMap((group) => group.commands)
const leaves = entries.flatMap((entry) => leavesOf(entry, []))

function leavesOf(entry: Entry, above: readonly string[]): { words: string[]; load: Entry['load'] }[] {
  const words = [...above, entry.name]
  return entry.commands?.flatMap((child) => leavesOf(child, words)) ?? [{ words, load: entry.load }]
}

describe('help', () => {
  test('names every command, and is on standard output', async () => {
    const { code, out, err } = await cli(['--help'])
    expect(code).toBe(0)
    expect(err).toBe('')
    for (const { name, summary } of entries)
      expect(out).toMatch(new RegExp(`^  ${name}\\b.* ${summary.slice(0, 20)}`, 'm'))
    expect(out).toContain('OPENFAAS_URL')
  })

  test('of a group names its commands', async () => {
    const { code, out } = await cli(['secret', '--help'])
    expect(code).toBe(0)
    for (const name of ['list', 'create', 'update', 'remove'])
      expect(out).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
  })

  test('without arguments is the same', async () => {
    expect(await cli([])).toEqual(await cli(['--help']))
  })

  test.each(leaves.map(({ words }) => [words.join(' '), words] as const))(
    'of %s has examples',
    async (name, words) => {
      const { code, out } = await cli([...words, '--help'])
      expect(code).toBe(0)
      expect(out).toContain(`\n  faasdock ${name}`)
      expect(out).toContain('Global options:')
      expect(await cli(['help', ...words])).toMatchObject({ out })
    },
  )

  test('docs/cli.md names every command with every flag', async () => {
    const docs = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')
    const section = (name: string) => docs.split(/^## /m).find((part) => part.startsWith(`\`${name}\``)) ?? ''
    for (const { words, load } of leaves) {
      const text = section(words.join(' '))
      expect(text, `section of ${words.join(' ')}`).not.toBe('')
      for (const option of (await load?.())?.options ?? [])
        if (!option.hidden) expect(text, words.join(' ')).toContain(`\`${option.flags}\``)
      const known = ((await load?.())?.options ?? [])
        .filter(({ hidden }) => !hidden)
        .map(({ flags }) => flags)
      const named = [...text.matchAll(/^\| `(-[^`]+)` /gm)].map(([, flags]) => flags)
      expect(named, `flags in the section of ${words.join(' ')}`).toEqual(known)
    }
    const sections = [...docs.matchAll(/^## `([^`]+)`$/gm)].map(([, name]) => name)
    expect(sections).toEqual(leaves.map(({ words }) => words.join(' ')))
    for (const option of globalOptions()) if (!option.hidden) expect(docs).toContain(`\`${option.flags}\``)
  })
})

describe('wrong use ends with 2 and says what was meant', () => {
  test.each([
    [['buld'], "unknown command 'buld'", 'Did you mean build?'],
    [['up', '--filtr', 'x'], "unknown option '--filtr'", 'Did you mean --filter?'],
    [['secret', 'creat', 'x'], "unknown command 'creat'", 'Did you mean create?'],
    [['deploy', '--replac'], "unknown option '--replac'", 'Did you mean --replace?'],
    [['list', '--sort', 'size'], 'Allowed choices are name, invocations, creation', ''],
    [['describe'], "missing required argument 'name'", ''],
    [['describe', 'a', 'b'], 'too many arguments', ''],
    [['secret'], 'a command of this group is missing', ''],
    [['build', '--parallel', '0'], 'whole number of at least 1', ''],
    [['-g'], 'argument missing', ''],
    [['list', '-g', 'ftp://x'], '--gateway "ftp://x" is not the address of a gateway', ''],
    [['logs', 'x', '--since', 'soon'], 'is not a duration', ''],
    [['up', '--update', '--replace'], '--update and --replace exclude each other', ''],
  ])('faasdock %j', async (argv, fact, remedy) => {
    const { code, out, err } = await cli(argv)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toMatch(/^error BAD_USAGE: /m)
    expect(err).toContain(fact)
    expect(err).toContain(`→ ${remedy}`)
  })

  test('under --json the error is JSON too', async () => {
    const { code, out, err } = await cli(['buld', '--json'])
    expect([code, out]).toEqual([2, ''])
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'BAD_USAGE', remedy: 'Did you mean build?' } })
  })
})

describe('global flags', () => {
  test('stand before or after the command', async () => {
    await using gateway = await startFakeGateway()
    await cli(['-g', gateway.url, '-n', 'dev', 'list'])
    await cli(['list', '--namespace', 'dev', '--gateway', gateway.url])
    await cli(['-n', 'dev', 'secret', '-g', gateway.url, 'list'])
    expect(gateway.seen.map(({ line }) => line)).toEqual([
      'GET /system/functions?namespace=dev&verbose=1',
      'GET /system/functions?namespace=dev&verbose=1',
      'GET /system/secrets?namespace=dev',
    ])
  })

  test('OPENFAAS_URL is used when nothing else says the address', async () => {
    await using gateway = await startFakeGateway()
    await cli(['list'], { env: { OPENFAAS_URL: gateway.url } })
    expect(gateway.seen).toHaveLength(1)
  })
})

test('a gateway that is not there ends with 4 and says how to start one', async () => {
  const gateway = await startFakeGateway()
  await gateway[Symbol.asyncDispose]()
  const { code, out, err } = await cli(['list', '-g', gateway.url])
  expect([code, out]).toEqual([4, ''])
  expect(err).toMatch(/^error GATEWAY_UNREACHABLE: no gateway answers at .*\n→ .*faasdock dev/)
})

test('colours only where they are wanted', async () => {
  await using gateway = await startFakeGateway()
  gateway.functions.set('a', { name: 'a', image: 'x', replicas: 1, availableReplicas: 1 })
  const argv = ['list', '-g', gateway.url]
  expect((await cli(argv)).out).not.toContain('\u001b')
  expect((await cli(argv, { env: { FORCE_COLOR: '1' } })).out).toContain('\u001b')
  expect((await cli(argv, { tty: true, env: { TERM: 'xterm' } })).out).toContain('\u001b')
  expect((await cli(argv, { tty: true, env: { TERM: 'xterm', NO_COLOR: '1' } })).out).not.toContain('\u001b')
})
