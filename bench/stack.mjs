import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Functions that share one small image: what is measured is the platform, not builds. */
export function writeStack(folder, count) {
  const handler = join(folder, 'hello')
  mkdirSync(handler)
  writeFileSync(
    join(handler, 'Dockerfile'),
    'FROM node:20-alpine\nCOPY server.js /\nUSER 1000\nCMD ["node", "/server.js"]\n',
  )
  writeFileSync(
    join(handler, 'server.js'),
    "require('http').createServer((_, answer) => answer.end('hello')).listen(8080)\nprocess.on('SIGTERM', () => process.exit(0))\n",
  )
  const functions = Array.from(
    { length: count },
    (_, i) =>
      `  hello-${i}:\n    lang: dockerfile\n    handler: ./hello\n    image: faasdock-bench-hello:latest\n`,
  )
  const file = join(folder, 'stack.yml')
  writeFileSync(file, `version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n${functions.join('')}`)
  return file
}
