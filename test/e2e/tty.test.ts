import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeDocker } from '../support/docker.ts'
import { makeHelloProject } from '../support/hello-project.ts'
import type { HelloProject } from '../support/hello-project.ts'
import { PROGRAM, startProgram } from '../support/program.ts'
import type { RunningProgram } from '../support/program.ts'
import { edit, makeScratch, uniqueWord } from '../support/scratch.ts'
import {
  instanceOf,
  locksIn,
  processesOf,
  removeImages,
  removeTracesBelow,
  tracesOf,
} from '../support/traces.ts'

/** Every Debian has it; on other systems its options differ. */
const SCRIPT = '/usr/bin/script'

describeDocker('faasdock dev on a terminal', () => {
  if (process.platform !== 'linux' || !existsSync(SCRIPT)) {
    test.skip('needs script of util-linux', () => undefined)
    return
  }

  let scratch: Awaited<ReturnType<typeof makeScratch>>
  let project: HelloProject
  const running: RunningProgram[] = []

  beforeAll(async () => {
    scratch = await makeScratch()
    project = await makeHelloProject(scratch.path, 'tty', uniqueWord(), { one: {}, two: {} })
  })

  afterAll(async () => {
    for (const program of running) await program[Symbol.asyncDispose]()
    await removeTracesBelow(scratch.path)
    await removeImages([project.image])
    await scratch[Symbol.asyncDispose]()
  })

  /** On a pseudo terminal of 120 columns that is typed on with `type`. */
  function startOnTerminal(dataDir: string): RunningProgram {
    const line = `stty cols 120 rows 40; exec '${process.execPath}' '${PROGRAM}' dev -f '${project.stack}' --data '${dataDir}' --port 0`
    const program = startProgram(['-qefc', line, '/dev/null'], {
      command: [SCRIPT],
      env: { TERM: 'xterm-256color', SHELL: '/bin/sh' },
    })
    running.push(program)
    return program
  }

  test('shows a status line, lists the keys at ?, does what they say, and ends cleanly at q', async () => {
    const dataDir = join(scratch.path, 'data-q')
    const dev = startOnTerminal(dataDir)
    await dev.shows(/^Try {2}curl /m)
    const [, url] = (await dev.shows(/2 ready · (http:\S+) · \? help/)).match(/(http:\S+)/)!
    // Drawn, not logged: in colours, and redrawn in place.
    expect(dev.stdout).toContain('\u001b[32m2 ready\u001b[39m')
    expect(dev.stdout).toContain('\u001b[J')
    const instance = await instanceOf(dataDir)
    expect(((await (await fetch(`${url!}/function/one`)).json()) as { word: string }).word).toBe('one')

    let seen = dev.screen.length
    dev.type('?')
    for (const key of ['\\?', 'o', 'r', 'd', 'l', 'e', 'c', 'q'])
      await dev.shows(new RegExp(`^ {2}${key} {2}\\w`, 'm'), { after: seen })

    seen = dev.screen.length
    dev.type('r')
    await dev.shows(/rebuild: {2}a all {2}1 one {2}2 two/, { after: seen })
    dev.type('a')
    await dev.shows(/rebuilding all functions/, { after: seen })

    seen = dev.screen.length
    await edit(project.stack, 'WORD: one', 'WORD: changed')
    await dev.shows(/↻ one {2}reconfigured in /, { after: seen })
    expect(((await (await fetch(`${url!}/function/one`)).json()) as { word: string }).word).toBe('changed')

    seen = dev.screen.length
    await edit(project.stack, 'functions:', 'functoins:')
    await dev.shows(/✗ stack\.yml {2}.*mistake[^\n]*\r?\n[^\n]*2 ready/, { after: seen })
    await edit(project.stack, 'functoins:', 'functions:')
    seen = dev.screen.length
    await edit(project.stack, 'WORD: changed', 'WORD: back')
    await dev.shows(/↻ one {2}reconfigured in /, { after: seen })

    dev.type('q')
    expect(await dev.end).toEqual({ code: 0, signal: null })
    expect(dev.screen).toMatch(/stopped; removed 2 functions: one, two\s*$/)
    expect(await tracesOf(instance)).toEqual({ containers: [], networks: [] })
    expect(processesOf(dev.pid, dataDir)).toEqual([])
    expect(locksIn(dataDir)).toEqual([])
  })

  test('Ctrl-C on the keyboard ends it as q does', async () => {
    const dataDir = join(scratch.path, 'data-c')
    const dev = startOnTerminal(dataDir)
    await dev.shows(/2 ready/)
    const instance = await instanceOf(dataDir)
    dev.type('\u0003')
    expect(await dev.end).toEqual({ code: 0, signal: null })
    expect(await tracesOf(instance)).toEqual({ containers: [], networks: [] })
    expect(locksIn(dataDir)).toEqual([])
  })
})
