import { expect, test } from 'vitest'
import { baseImagesOf } from './dockerfile.ts'

test.each<[string, string, string[]]>([
  ['one image', 'FROM node:20-alpine\nRUN npm ci\n', ['node:20-alpine']],
  [
    'a platform and a stage',
    'FROM --platform=${TARGETPLATFORM:-linux/amd64} node:20 AS build\nFROM build\n',
    ['node:20'],
  ],
  ['lower case and tabs', 'from\talpine\tas x\nfrom X', ['alpine']],
  ['a default of ARG', 'ARG V=3.12\nFROM python:${V}-slim', ['python:3.12-slim']],
  ['quotes', 'ARG IMAGE="node:22"\nFROM "$IMAGE"', ['node:22']],
  ['ARG out of ARG', 'ARG V=22\nARG IMAGE=node:${V}-slim\nFROM ${IMAGE}', ['node:22-slim']],
  ['two ARGs in a line', 'ARG A=node B=24\nFROM $A:$B', ['node:24']],
  ['a default in FROM', 'FROM ${IMAGE:-debian:12}', ['debian:12']],
  ['the same twice', 'FROM node:20\nFROM node:20', ['node:20']],
  ['scratch', 'FROM golang:1.22 AS b\nFROM scratch\nCOPY --from=b /x /x', ['golang:1.22']],
  [
    'a copy out of an image',
    'FROM --platform=x busybox\nCOPY --chown=1 --from=team/watchdog:1 /fwatchdog /usr/bin/',
    ['busybox', 'team/watchdog:1'],
  ],
  ['a copy out of a numbered stage', 'FROM a\nFROM b\nCOPY --from=0 /x /x', ['a', 'b']],
  ['a mount out of an image', 'FROM a\nRUN --mount=type=bind,from=tools:1,target=/t make', ['a', 'tools:1']],
  ['an ARG inside a stage', 'FROM a\nARG V=2\nFROM b:${V:-1}', ['a', 'b:1']],
  [
    'continued lines with comments',
    'FROM \\\n# which\n  node:20 \\\n  AS x\nRUN echo \\\n  FROM y',
    ['node:20'],
  ],
  ['a here-document', 'FROM a\nRUN <<EOF\nFROM b\nEOF\nFROM c', ['a', 'c']],
  ['a syntax line and Windows line ends', '# syntax=docker/dockerfile:1\r\nFROM a\r\n', ['a']],
  ['the other escape', '# escape=`\nFROM a `\n AS b', ['a']],
  ['nothing', '', []],
])('%s', (_, dockerfile, images) => {
  expect(baseImagesOf(dockerfile)).toEqual(images)
})

test('a build argument wins over the default', () => {
  expect(baseImagesOf('ARG V=20\nFROM node:$V', { V: '22' })).toEqual(['node:22'])
})

test('a build argument that no ARG declares is not seen by FROM', () => {
  expect(baseImagesOf('FROM node:${V:-20}', { V: '22' })).toEqual(['node:20'])
})

test('an ARG without a value leaves its default to FROM', () => {
  expect(baseImagesOf('ARG V\nFROM node:${V:-20}')).toEqual(['node:20'])
})
