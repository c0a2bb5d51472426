// The contract table asked of images that were built from the official templates, to see that it is theirs. Each is named
// by a variable, OFFICIAL_NODE20_IMAGE=…; any function may be in it. What is not named is skipped, and counted.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeFolder } from '../support/folder.ts'
import { callAt, until } from './templates/call.ts'
import { expectAnswer } from './templates/expect-answer.ts'
import { docker, labelFlags, removeAll } from './templates/images.ts'
import { majors } from './templates/node-binaries.ts'
import {
  callOf,
  differenceOf,
  eraOf,
  handlerOf,
  jsonSizeContract,
  nodeContract,
  officialExpectedOf,
  rawContract,
} from './templates/node-contract.ts'

const tables = [
  { title: 'contract', rows: nodeContract, env: {} },
  { title: 'RAW_BODY', rows: rawContract, env: { RAW_BODY: 'true', MAX_RAW_SIZE: '1kb' } },
  { title: 'MAX_JSON_SIZE', rows: jsonSizeContract, env: { MAX_JSON_SIZE: '200kb' } },
]

const imageOf = (major: number): string | undefined => process.env[`OFFICIAL_NODE${String(major)}_IMAGE`]

const named = majors.filter((major) => imageOf(major) !== undefined)

it.skipIf(named.length > 0)('needs images of the official templates: OFFICIAL_NODE20_IMAGE=…', ({ skip }) =>
  skip(),
)

describe.each(named)('official node%i', (major) => {
  const image = imageOf(major)
  const era = eraOf(major)
  afterAll(removeAll)

  describe.each(tables)('$title', ({ rows, env }) => {
    // One more handler, to see whether the process still lives: several rows are the end of it (contract 0, item 22).
    const all = [...rows, { says: 'lives', handler: `(e, c) => c.succeed('alive')`, answers: {} }]
    let id = ''
    beforeAll(async () => {
      await using folder = await makeFolder({ 'handler.js': handlerOf(all) })
      const flags = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`])
      id = await docker('create', ...labelFlags, '--publish', '127.0.0.1::8080', ...flags, image ?? '')
      await docker('cp', `${folder.path}/handler.js`, `${id}:/home/app/function/handler.js`)
    })

    /** Starts it where it ended, and waits: the watchdog answers before its child does, with 500 of its own. */
    async function alive(): Promise<number> {
      const { port } = await until(
        async () => {
          await docker('start', id)
          const mapped = await docker('port', id, '8080/tcp')
          const port = Number(mapped.split('\n')[0]?.split(':').at(-1))
          return { port, ...(await callAt('127.0.0.1', port, callOf(all, rows.length))) }
        },
        ({ body }) => body === 'alive',
      )
      return port
    }

    it.for(rows.map((row, index) => ({ says: row.says, row, index })))(
      '$says',
      async ({ row, index }, { skip }) => {
        const expected = officialExpectedOf(row, era)
        if (expected === undefined) return skip(differenceOf(row, era)?.reason)
        expectAnswer(await callAt('127.0.0.1', await alive(), callOf(all, index)), expected)
      },
    )
  })
})

describe('the list of differences', () => {
  it('has a reason for each', () => {
    const listed = tables.flatMap(({ rows }) => rows).flatMap((row) => [row.differs ?? []].flat())
    expect(listed.length).toBeGreaterThan(0)
    for (const { reason } of listed) expect(reason.length, reason).toBeGreaterThan(20)
  })
})
