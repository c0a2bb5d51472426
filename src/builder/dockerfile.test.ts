import { describe, expect, test } from 'vitest'
import { baseImages, declaredArgs, declarePlatformArgs } from './dockerfile.ts'

const names = (dockerfile: string, args: Record<string, string> = {}) =>
  baseImages(dockerfile, args).map(({ image }) => image)

describe('the base images of a Dockerfile', () => {
  test('earlier stages, scratch and numbers are none', () => {
    const dockerfile = [
      'FROM watchdog:1 AS Watchdog',
      'FROM node:20 as ship',
      'COPY --from=watchdog /a /a',
      'COPY --from=0 /a /a',
      'FROM scratch',
      'COPY --from=ship /x /x',
      'COPY --chown=1:1 --from=tools:2 /x /x',
      'RUN --mount=type=bind,from=mounted:3,target=/m true',
    ].join('\n')
    expect(names(dockerfile)).toEqual(['watchdog:1', 'node:20', 'tools:2', 'mounted:3'])
  })

  test('arguments before the first FROM are put in, and build arguments win', () => {
    const dockerfile = 'ARG V=18\nARG "W=x"\nFROM node:${V}-alpine\nFROM b:$V\nFROM c:${V:-1}${Z:+no}'
    expect(names(dockerfile)).toEqual(['node:18-alpine', 'b:18', 'c:18'])
    expect(names(dockerfile, { V: '20' })[0]).toBe('node:20-alpine')
  })

  test('a build argument that the Dockerfile does not declare has no effect', () => {
    expect(names('FROM node:${V:-12}', { V: '20' })).toEqual(['node:12'])
  })

  test('what has no value is left out', () => expect(names('ARG V\nFROM node:$V')).toEqual([]))

  test('continued lines, comments and lower case are read', () => {
    expect(names('# FROM no\narg V=1\nfrom \\\n  # aside\n  a:$V \\\n  AS x\nFROM x')).toEqual(['a:1'])
  })

  test('a platform is known with what BuildKit declares by itself', () => {
    const bases = baseImages('FROM --platform=${TARGETPLATFORM:-linux/amd64} a:1', {
      TARGETPLATFORM: 'linux/arm64',
    })
    expect(bases).toEqual([{ image: 'a:1', platform: 'linux/arm64' }])
  })
})

describe('platform arguments for the classic builder', () => {
  test('one that FROM uses and nobody declares is declared before the first FROM', () => {
    const official =
      '# syntax=x\nFROM --platform=${TARGETPLATFORM:-linux/amd64} a\nFROM --platform=$BUILDPLATFORM b\nARG TARGETPLATFORM'
    expect(declarePlatformArgs(official)).toBe(
      '# syntax=x\nARG TARGETPLATFORM\nARG BUILDPLATFORM\n' + official.slice('# syntax=x\n'.length),
    )
  })

  test.each([
    'ARG TARGETPLATFORM\nFROM --platform=$TARGETPLATFORM a',
    'FROM a\nARG TARGETARCH\nRUN echo $TARGETARCH',
    'RUN no from at all',
  ])('%j stays as it is', (dockerfile) => expect(declarePlatformArgs(dockerfile)).toBe(dockerfile))
})

test('declared arguments are found in every stage', () => {
  expect([...declaredArgs('ARG A=1\nFROM x\nARG B\nARG C="x y"')]).toEqual(
    expect.arrayContaining(['A', 'B', 'C']),
  )
})
