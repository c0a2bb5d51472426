import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { curlLine } from './curl-line.ts'

const spec = (name: string, example?: string, namespace = 'openfaas-fn') => ({
  name,
  namespace,
  image: 'x',
  labels: {},
  annotations: example === undefined ? {} : { 'com.faasdock.example': example },
})

test('the function that says an example is called with it, encoded', () => {
  expect(curlLine('http://127.0.0.1:8080', [spec('pinyin'), spec('m-search', '?q=中文')])).toBe(
    "curl 'http://127.0.0.1:8080/function/m-search?q=%E4%B8%AD%E6%96%87'",
  )
})

test('without examples it is the first function, with its namespace unless that is the default', () => {
  expect(curlLine('http://h:1', [spec('a')])).toBe('curl http://h:1/function/a')
  expect(curlLine('http://h:1', [spec('a', undefined, 'dev')])).toBe('curl http://h:1/function/a.dev')
  expect(curlLine('http://h:1', [])).toBeUndefined()
})

test('a shell takes the address as one word, whatever the example holds', () => {
  const line = curlLine('http://h:1', [spec('a', `/it's?q="$HOME" & more;\`id\``)])
  const words = execFileSync('sh', ['-c', (line ?? '').replace(/^curl/, "printf '%s\\n'")]).toString()
  expect(words).toBe("http://h:1/function/a/it's?q=%22$HOME%22%20&%20more;`id`\n")
})
