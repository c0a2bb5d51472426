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

describe.each(majors)('official node%i', (major) => {
  const image = imageOf(major)
  const era = eraOf(major)
  afterAll(async () => {
    if (image !== undefined) await removeAll()
  })

  describe.skipIf(image === undefined).each(tables)('$title', ({ rows, env }) => {
    let id = ''
    let port = 0
    beforeAll(async () => {
      await using folder = await makeFolder({ 'handler.js': handlerOf(rows) })
      const flags = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`])
      id = await docker('create', ...labelFlags, '--publish', '127.0.0.1::8080', ...flags, image ?? '')
      await docker('cp', `${folder.path}/handler.js`, `${id}:/home/app/function/handler.js`)
      await docker('start', id)
      port = Number((await docker('port', id, '8080/tcp')).split('\n')[0]?.split(':').at(-1))
      // The watchdog answers before its child does, with 500 of its own.
      await until(
        () => callAt('127.0.0.1', port, { path: '/none' }),
        ({ status, body }) => status !== 503 && !/connection refused|connect:/.test(body) && body !== '',
      )
    })

    it.for(rows.map((row, index) => ({ says: row.says, row, index })))(
      '$says',
      async ({ row, index }, { skip }) => {
        const expected = officialExpectedOf(row, era)
        if (expected === undefined) return skip(row.differs?.reason)
        expectAnswer(await callAt('127.0.0.1', port, callOf(rows, index)), expected)
      },
    )
  })
})

describe('the list of differences', () => {
  it('has a reason for each', () => {
    const listed = tables.flatMap(({ rows }) => rows).filter(({ differs }) => differs !== undefined)
    expect(listed.length).toBeGreaterThan(0)
    for (const { says, differs } of listed) expect(differs?.reason.length, says).toBeGreaterThan(20)
  })
})
