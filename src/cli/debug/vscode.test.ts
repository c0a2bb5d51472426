import { expect, test } from 'vitest'
import { FaasError } from '../../core/errors.ts'
import type { DebugConfiguration } from './configuration.ts'
import { mergeLaunch } from './vscode.ts'

const project = '/home/me/shop'
const place = { file: `${project}/.vscode/launch.json`, project }
const node: DebugConfiguration = {
  title: 'faasdock: m-search',
  language: 'node',
  host: '127.0.0.1',
  port: 9229,
  remoteRoot: '/home/app/function',
  localRoot: '/home/me/shop/m-search',
}
const python: DebugConfiguration = {
  ...node,
  title: 'faasdock: pinyin',
  language: 'python',
  port: 9230,
  localRoot: '/home/me/shop/fn/pinyin',
}

test('a file is made with what each language needs', () => {
  expect(JSON.parse(mergeLaunch(undefined, [node, python], place))).toEqual({
    version: '0.2.0',
    configurations: [
      {
        name: 'faasdock: m-search',
        type: 'node',
        request: 'attach',
        address: '127.0.0.1',
        port: 9229,
        localRoot: '${workspaceFolder}/m-search',
        remoteRoot: '/home/app/function',
        restart: true,
        skipFiles: ['<node_internals>/**'],
      },
      {
        name: 'faasdock: pinyin',
        type: 'debugpy',
        request: 'attach',
        connect: { host: '127.0.0.1', port: 9230 },
        pathMappings: [{ localRoot: '${workspaceFolder}/fn/pinyin', remoteRoot: '/home/app/function' }],
        justMyCode: true,
      },
    ],
  })
})

test('comments, order and habits of a file stay', () => {
  const text = [
    '{',
    '\t// How we start the shop.',
    '\t"version": "0.2.0",',
    '\t"configurations": [',
    '\t\t{ "name": "shop", "type": "node", "request": "launch", "program": "a.js" }, // ours',
    '\t],',
    '\t"compounds": [],',
    '}',
    '',
  ].join('\n')
  const merged = mergeLaunch(text, [node], place)
  expect(merged).toContain('\t// How we start the shop.\n')
  expect(merged).toContain('"program": "a.js" }')
  expect(merged).toContain('// ours')
  expect(merged).toContain('\t"compounds": [],\n')
  expect(merged).toContain('\n\t\t\t"name": "faasdock: m-search",\n')
  expect(merged).not.toMatch(/\n +"/)
  expect(mergeLaunch(merged, [node], place)).toBe(merged)
})

test('of a configuration that is there only the port is made right', () => {
  const made = mergeLaunch(undefined, [node, python], place)
  const mine = made
    .replace('"restart": true', '"restart": false /* mine */')
    .replace('"justMyCode": true', '"justMyCode": false')
  const merged = mergeLaunch(
    mine,
    [
      { ...node, port: 9300 },
      { ...python, port: 9301 },
    ],
    place,
  )
  expect(merged).toBe(mine.replace('9229', '9300').replace('9230', '9301'))
})

test.each([
  ['{}', 'configurations'],
  ['{ "configurations": null }', undefined],
  ['  \n', 'configurations'],
])('%j gets a list of its own', (text, key) => {
  if (key === undefined) expect(() => mergeLaunch(text, [node], place)).toThrow(FaasError)
  else expect(JSON.parse(mergeLaunch(text, [node], place))).toHaveProperty(key, [expect.anything()])
})

test.each([
  ['{ "configurations": [ }', /line 1/],
  ['{\n  "version": \n}', /line [23]/],
  ['[]', /not a JSON object/],
  ['{ "configurations": {} }', /not a list/],
])('%j is left alone, and what to do is said', (text, why) => {
  const merge = (): string => mergeLaunch(text, [node], place)
  expect(merge).toThrow(why)
  expect(merge).toThrow(
    expect.objectContaining({
      code: 'FILE_NOT_READABLE',
      remedy: expect.stringMatching(/move it away/) as string,
    }),
  )
})

test('sources outside of the project are named by their whole path', () => {
  const merged = mergeLaunch(undefined, [{ ...node, localRoot: '/home/me/other' }], place)
  expect(merged).toContain('"localRoot": "/home/me/other"')
})

test('lines keep the ends that they have', () => {
  const merged = mergeLaunch('{\r\n  "configurations": []\r\n}\r\n', [node], place)
  expect(merged.replaceAll('\r\n', '')).not.toContain('\n')
})
