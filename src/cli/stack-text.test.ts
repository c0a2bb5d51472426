import { parse } from 'yaml'
import { expect, test } from 'vitest'
import { ignoreGenerated } from './git-ignore.ts'
import { addFunction, newStackText } from './stack-text.ts'

const words = { name: 'words', lang: 'python3', handler: './words', image: 'words:latest' }

interface StackYaml {
  version: number
  provider: { name: string; gateway: string }
  functions: Record<string, unknown>
  configuration?: unknown
}

const read = (text: string) => parse(text) as StackYaml

test('a new stack file has version 1.0, provider openfaas, and the function', () => {
  const limits = { memory: '128Mi' }
  const text = newStackText('http://127.0.0.1:8080', { ...words, limits })
  expect(text).toMatch(/^version: 1\.0$/m)
  expect(read(text).provider).toEqual({ name: 'openfaas', gateway: 'http://127.0.0.1:8080' })
  expect(read(text).functions).toEqual({
    words: { lang: 'python3', handler: './words', image: 'words:latest', limits },
  })
})

test('a function is added behind the others; comments, variables and other sections stay', () => {
  const before = `# our app
version: 1.0
functions:
    hello: # first
        lang: node22
        handler: ./hello
        image: \${PREFIX:-local}/hello

    # about the templates
configuration:
  copy: [shared]
`
  const after = addFunction(before, 'mobile.yml', words)
  expect(Object.keys(read(after).functions)).toEqual(['hello', 'words'])
  expect(read(after).configuration).toEqual({ copy: ['shared'] })
  for (const line of before.split('\n')) expect(after).toContain(line)
  expect(after).toContain('\n    words:\n        lang: python3')
})

test.each(['functions:', 'functions:\n', 'version: 1.0\nfunctions:\n  a:\n    image: x'])(
  'a function is added to %j',
  (before) => expect(read(addFunction(before, 's.yaml', words)).functions).toHaveProperty('words'),
)

test('a second function of one name is refused', () => {
  const before = newStackText('http://h', words)
  expect(() => addFunction(before, 's.yaml', words)).toThrow(/has a function "words" already/)
})

test('without a place for functions the lines to add by hand are in the remedy', () => {
  expect(() => addFunction('functions: {}\n', 's.yaml', words)).toThrow(
    expect.objectContaining({ code: 'BAD_STACK', remedy: expect.stringContaining('  words:') as string }),
  )
})

test('.gitignore gets what is missing, once', () => {
  expect(ignoreGenerated('')).toBe('template\nbuild\n.secrets\n')
  expect(ignoreGenerated('node_modules\n/build/')).toBe('node_modules\n/build/\ntemplate\n.secrets\n')
  const done = ignoreGenerated('')
  expect(ignoreGenerated(done)).toBe(done)
})
