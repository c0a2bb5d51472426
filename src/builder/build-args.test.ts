import { expect, test } from 'vitest'
import { sourceIn } from '../../test/support/function-source.ts'
import { contentArgs, platformArgs, proxyArgs } from './build-args.ts'
import type { Template } from './template.ts'

const template: Template = {
  lang: 'node20',
  folder: '/t',
  handlerFolder: 'function',
  mountSsh: false,
  languages: new Map(),
  descriptions: new Map(),
  preferredImages: {},
  languageArgs: { NODE_VERSION: '20', FLAVOUR: 'alpine' },
  buildOptions: new Map([
    ['dev', ['make', 'automake', 'gcc']],
    ['math', ['gcc', 'blas']],
  ]),
}

const source = (more: Parameters<typeof sourceIn>[1]) => sourceIn({ path: '/p' }, more)

test('the stack file’s build arguments win over the lang’s', () => {
  const args = contentArgs(source({ buildArgs: { NODE_VERSION: '21', MINE: 'x' } }), template)
  expect(args).toEqual({ NODE_VERSION: '21', FLAVOUR: 'alpine', MINE: 'x', ADDITIONAL_PACKAGE: '' })
})

test('packages of build options and explicit ones are joined once each and sorted', () => {
  const args = contentArgs(
    source({ buildOptions: ['math', 'dev'], buildArgs: { ADDITIONAL_PACKAGE: ' zlib  make ' } }),
    template,
  )
  expect(args['ADDITIONAL_PACKAGE']).toBe('automake blas gcc make zlib')
})

test('a build option that the template does not have is refused with those it has', () => {
  expect(() => contentArgs(source({ buildOptions: ['devv'] }), template)).toThrow(
    expect.objectContaining({
      code: 'BAD_STACK',
      message: 'hello: build option "devv" is not one that the template node20 has',
      remedy: 'Did you mean dev? It has dev, math.',
    }),
  )
})

test('proxies reach the build under both spellings', () => {
  expect(proxyArgs({ http_proxy: 'http://a', NO_PROXY: 'b', https_proxy: '' })).toEqual({
    http_proxy: 'http://a',
    HTTP_PROXY: 'http://a',
    no_proxy: 'b',
    NO_PROXY: 'b',
  })
})

test('a platform is the engine’s own', () => {
  expect(platformArgs('linux', 'arm64')).toMatchObject({
    TARGETPLATFORM: 'linux/arm64',
    BUILDPLATFORM: 'linux/arm64',
    TARGETOS: 'linux',
    TARGETARCH: 'arm64',
  })
})
