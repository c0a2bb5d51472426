import { expect, test } from 'vitest'
import { terminalText } from './terminal-text.ts'

test.each([
  ['plain', 'plain'],
  ['a\tb', 'a\tb'],
  ['\u001b[31mred\u001b[39m', '\u001b[31mred\u001b[39m\u001b[0m'],
  ['\u001b[38:5:1mred', '\u001b[38:5:1mred\u001b[0m'],
  ['of Windows\r', 'of Windows'],
])('%j is shown as it is, and colours end with the line', (text, shown) => {
  expect(terminalText(text, true)).toBe(shown)
})

test.each([
  ['clears the screen', '\u001b[2J\u001b[H', '␛[2J␛[H'],
  ['sets the title', '\u001b]0;owned\u0007', '␛]0;owned␇'],
  ['fills the clipboard', '\u001b]52;c;cm0=\u0007', '␛]52;c;cm0=␇'],
  ['writes over what was written', 'failed\rfine', 'failed␍fine'],
  ['deletes', 'a\b\u007f', 'a␈␡'],
  ['steers with one byte', '\u009b2J', '\ufffd2J'],
])('what %s does not', (_what, text, shown) => {
  expect(terminalText(text, true)).toBe(shown)
})

test('without colours there are none', () => {
  expect(terminalText('\u001b[1;31mred\u001b[0m', false)).toBe('red')
})
