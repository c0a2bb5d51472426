import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { substitute } from './substitute.ts'

const env = {
  X: 'value',
  EMPTY: '',
  Y: 'other',
  FILE: 'hello.tar.gz',
  PATH_LIKE: 'a/b/a',
  CITY: 'Größe',
  ONE: '1',
  Ünï_1: 'letters',
}

function result(text: string): string {
  const { text: made, faults } = substitute(text, env)
  expect(faults).toEqual([])
  return made
}

describe('each form of contract 5.2', () => {
  test.each([
    ['plain', '${X}', 'value'],
    ['plain, unset', '[${NOT_SET}]', '[]'],
    ['plain, empty', '[${EMPTY}]', '[]'],
    ['name with letters of any script', '${Ünï_1}', 'letters'],
    [':- with a value', '${X:-d}', 'value'],
    [':- unset', '${NOT_SET:-d}', 'd'],
    [':- empty', '${EMPTY:-d}', 'd'],
    [':= unset', '${NOT_SET:=d}', 'd'],
    ['= unset', '${NOT_SET=d}', 'd'],
    ['= empty', '${EMPTY=d}', 'd'],
    [':? is a default, not an error', '${NOT_SET:?d}', 'd'],
    [':+ is a default, not an alternative', '${NOT_SET:+d}', 'd'],
    [':+ with a value', '${X:+d}', 'value'],
    ['an empty default', '[${NOT_SET:-}]', '[]'],
    ['a default runs to the first brace', '${NOT_SET:-a{b}c}', 'a{bc}'],
    ['a default keeps its spaces and colons', '${NOT_SET:- a: b }', ' a: b '],
    ['a default over lines', '${NOT_SET:-a\nb}', 'a\nb'],
    ['backslashes in a default stay', '${NOT_SET:-a\\\\b\\/}', 'a\\\\b\\/'],
    ['two dollars in a default stay', '${NOT_SET:-$$}', '$$'],
    ['a nested default', '${NOT_SET:-${Y}}', 'other'],
    ['a nested default between text', '${NOT_SET:-a${Y}b${EMPTY:-c}d}', 'aotherbcd'],
    ['three levels', '${NOT_SET:-${EMPTY:-${Y:-z}}}', 'other'],
    ['the nested default is not used', '${X:-${Y}}', 'value'],
    ['length', '${#X}', '5'],
    ['length in bytes', '${#CITY}', '7'],
    ['length of nothing', '${#NOT_SET}', '0'],
    ['lower-case first', '${CITY,}', 'größe'],
    ['lower-case all', '${CITY,,}', 'größe'],
    ['upper-case first', '${X^}', 'Value'],
    ['upper-case all; ß has no single upper-case letter', '${CITY^^}', 'GRÖßE'],
    ['a mixture of the two leaves the value alone', '${X,^}', 'value'],
    ['substring from', '${X:2}', 'lue'],
    ['substring from behind the end', '[${X:9}]', '[]'],
    ['substring of a length', '${X:1:3}', 'alu'],
    ['substring longer than the value', '${X:3:9}', 'ue'],
    ['substring of no length', '[${X:1:0}]', '[]'],
    ['substring with a plus sign', '${X:+1}', 'value'],
    ['substring at something that is no number', '${X: -1}', 'value'],
    ['substring with something that is no length', '${X:1:y}', 'value'],
    ['substring from a nested position', '${X:${ONE}}', 'alue'],
    ['substring counts bytes', '${CITY:4}', 'ße'],
    ['shortest prefix', '${FILE#*.}', 'tar.gz'],
    ['longest prefix', '${FILE##*.}', 'gz'],
    ['shortest suffix', '${FILE%.*}', 'hello.tar'],
    ['longest suffix', '${FILE%%.*}', 'hello'],
    ['a star takes at least one character', '${X#*}', 'alue'],
    ['? is one character', '${X#??}', 'lue'],
    ['a class in a prefix', '${X#[a-v]}', 'alue'],
    ['a negated class in a prefix', '${X##[^e]}', 'alue'],
    ['a class in a suffix is read backwards and matches nothing', '${X%[a-z]}', 'value'],
    ['a broken class matches nothing', '${X#[}', 'value'],
    ['a prefix that does not match', '${X#nothing}', 'value'],
    ['a nested pattern', '${FILE%${NOT_SET:-.gz}}', 'hello.tar'],
    ['replace first', '${PATH_LIKE/a/c}', 'c/b/a'],
    ['replace all', '${PATH_LIKE//a/c}', 'c/b/c'],
    ['replace prefix', '${PATH_LIKE/#a/c}', 'c/b/a'],
    ['replace prefix that is none', '${PATH_LIKE/#b/c}', 'a/b/a'],
    ['replace suffix', '${PATH_LIKE/%a/c}', 'a/b/c'],
    ['replace suffix that is none', '${PATH_LIKE/%b/c}', 'a/b/a'],
    ['replace takes text, not a pattern', '${FILE//./-}', 'hello-tar-gz'],
    ['replace with nothing', '${PATH_LIKE//a/}', '/b/'],
    ['replace a prefix with nothing does nothing', '${PATH_LIKE/#a/}', 'a/b/a'],
    ['an escaped slash in the replaced text', '${PATH_LIKE//\\//-}', 'a-b-a'],
    ['an escaped slash in the replacement', '${X/a/\\/}', 'v/lue'],
    ['dollars in a replacement mean themselves', '${X/a/$&}', 'v$&lue'],
    ['replace with a nested value', '${X/a/${Y}}', 'votherlue'],
    ['replace every empty text', '${ONE//${EMPTY}/-}', '-1-'],
    ['$X', '$X', '$X'],
    ['$X before text', 'a$X-b', 'a$X-b'],
    ['$(x)', '$(x)', '$(x)'],
    ['a dollar at the end', 'a$', 'a$'],
    ['$$', '$$', '$'],
    ['$$$', '$$$', '$$'],
    ['$${X}', '$${X}', '${X}'],
    ['$$${X}', '$$${X}', '$value'],
    ['two backslashes', 'a\\\\b', 'a\\b'],
    ['three backslashes', '\\\\\\', '\\\\'],
    ['backslash and slash', '\\/api\\/.*', '/api/.*'],
    ['another escape', '\\d\\n', '\\d\\n'],
    ['a value is not substituted again', '${NOT_SET:-$X}', '$X'],
    ['several in one line', '${X}:${Y}:${X}', 'value:other:value'],
    ['an inherited property is no variable', '[${constructor}${__proto__}]', '[]'],
  ])('%s: %s', (_, text, expected) => expect(result(text)).toBe(expected))
})

describe('what cannot be read', () => {
  test.each([
    ['${X-d}', '"${X-d}" has "-" after the name X, where a closing brace is missing'],
    ['${X+d}', '"${X+d}" has "+" after the name X, where a closing brace is missing'],
    ['${X?d}', '"${X?d}" has "?" after the name X, where a closing brace is missing'],
    ['${A.B}', '"${A.B}" has "." after the name A, where a closing brace is missing'],
    ['${}', '"${}" has no variable name after the brace'],
    ['${#}', '"${#}" has no variable name after the brace'],
    ['${ X}', '"${ X}" has no variable name after the brace'],
    ['${X', '"${X" has no closing brace'],
    ['${X\n', '"${X" is not a complete substitution'],
    ['${X:-d', '"${X:-d" has no closing brace'],
    ['${X:}', '"${X:}" is not a complete substitution'],
    ['${X:1:}', '"${X:1:}" is not a complete substitution'],
    ['${X,,,}', '"${X,,,}" is not a complete substitution'],
    ['${X#}', '"${X#}" is not a complete substitution'],
    ['${X#a${Y}}', '"${X#a${Y}" is not a complete substitution'],
    ['${X/a}', '"${X/a}" has no closing brace'],
    ['${X:3:-2}', '"${X:3:-2}" asks for a part that the value of X does not have'],
    ['${CITY:3}', '"${CITY:3}" asks for a part that the value of CITY does not have'],
  ])('%j', (text, message) => {
    const { faults } = substitute(`a: ${text}`, env)
    expect(faults.map((fault) => fault.message)).toEqual([message])
    expect(faults[0]?.place.start).toBe(3)
  })

  test('says what is accepted, and suggests the form that exists', () => {
    const [fault] = substitute('${X-d}', env).faults
    expect(fault).toMatchObject({ suggestion: '${X:-', place: { start: 0, end: 6 } })
    expect(fault?.accepted).toContain('${NAME:-default}')
  })

  test('everything that is wrong is found at once, each where it stands, and the rest is substituted', () => {
    const { faults, text } = substitute('${A.B} ${X} ${Y:-${}} ${X', env)
    expect(faults.map(({ place }) => place.start)).toEqual([0, 17, 22])
    expect(text).toBe('${A.B} value ${Y:-${}} ${X')
  })

  test('a substitution ten thousand levels deep is a mistake, not a crash', () => {
    const { faults } = substitute('${NOT_SET:-'.repeat(10_000), env)
    expect(faults.length).toBeGreaterThan(0)
    expect(faults[0]?.message).toContain('more than 100')
  })
})

const TOKENS = [
  '${',
  '}',
  '$',
  '\\',
  '/',
  ':',
  '-',
  '=',
  '#',
  '%',
  ',',
  '^',
  '*',
  '[',
  'X',
  'FILE',
  'a',
  '1',
  '\n',
  'ß',
]
const soup = fc.array(fc.constantFrom(...TOKENS)).map((tokens) => tokens.join(''))

describe('any text', () => {
  test('never makes it throw', () => {
    fc.assert(fc.property(fc.oneof(soup, fc.string()), (text) => void substitute(text, env)))
  })

  test('stays as it is without dollars and backslashes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const harmless = text.replace(/[$\\]/g, '')
        expect(result(harmless)).toBe(harmless)
      }),
    )
  })

  test('can be traced back to where it stood', () => {
    const literal = fc.string().map((text) => ({ text: text.replace(/[$\\]/g, '') || ' ', copied: true }))
    const replaced = fc
      .constantFrom('${X}', '${EMPTY}', '$$', '\\/', '${NOT_SET:-a\nlong\ndefault}')
      .map((text) => ({ text, copied: false }))
    fc.assert(
      fc.property(fc.array(fc.oneof(literal, replaced)), (pieces) => {
        const { map } = substitute(pieces.map(({ text }) => text).join(''), env)
        let [before, after] = [0, 0]
        for (const { text, copied } of pieces) {
          const made = result(text).length
          const place = map.original({ start: after, end: after + made })
          if (made > 0) expect(place).toEqual({ start: before, end: before + text.length })
          if (copied) {
            const last = { start: after + made - 1, end: after + made }
            expect(map.original(last).start).toBe(before + text.length - 1)
          }
          before += text.length
          after += made
        }
      }),
    )
  })
})
