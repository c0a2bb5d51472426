import { describe, expect, test } from 'vitest'
import { shellCommands } from './shell.ts'

const words = (line: string) => shellCommands(line)?.map((command) => command.words.join(' '))

describe('the commands of a shell line', () => {
  test.each([
    ['npm ci && npm test', ['npm ci', 'npm test']],
    ['set -e; cd a; pip install -r b', ['set -e', 'cd a', 'pip install -r b']],
    ['A=1 B="2 3" npm i', ['npm i']],
    [
      '[ "$X" = "false" ] && echo "skip it" || eval "$TEST"',
      ['[ $X = false ]', 'echo skip it', 'eval $TEST'],
    ],
    ['if [ -f x ]; then npm i; else true; fi', ['[ -f x ]', 'npm i', 'true']],
    ['{ find . -type f | xargs strip; }', ['find . -type f', 'xargs strip']],
    ['(cd a && make)', ['cd a', 'make']],
    ['find . -exec chmod 777 {} +', ['find . -exec chmod 777 {} +']],
    ['find . -exec chmod 777 {} \\;', ['find . -exec chmod 777 {} ;']],
    ["echo 'a && b' # c", ['echo a && b']],
    ['[[ -f a || -f b ]] && make', ['[[ -f a || -f b ]]', 'make']],
    ['npm i \\\n  --silent\nmake', ['npm i --silent', 'make']],
    ['echo a#b', ['echo a#b']],
  ])('%s', (line, commands) => {
    expect(words(line)).toEqual(commands)
  })

  test.each([
    'echo $(cat x)',
    'echo `cat x`',
    'for x in a; do npm i; done',
    'cat <<EOF',
    'echo "$(cat x)"',
    'a "b',
  ])('cannot be told of %s', (line) => {
    expect(shellCommands(line)).toBeUndefined()
  })

  test('have the files that the shell opens for them', () => {
    expect(shellCommands('xargs apk add < packages.txt 2>&1 >/dev/null')).toEqual([
      {
        isPiped: false,
        words: ['xargs', 'apk', 'add'],
        redirects: [
          { sign: '<', path: 'packages.txt' },
          { sign: '>', path: '/dev/null' },
        ],
      },
    ])
    expect(shellCommands('npm i > log 2>/dev/null')?.[0]?.redirects).toEqual([
      { sign: '>', path: 'log' },
      { sign: '>', path: '/dev/null' },
    ])
  })
})
