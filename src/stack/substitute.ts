import { SourceMap } from './source-map.ts'
import type { Place } from './source-map.ts'
import { byteLength, FORMS } from './substitution-forms.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Something that is wrong at a place of a text. */
export interface Fault {
  readonly place: Place
  readonly message: string
  /** What is accepted there. */
  readonly accepted?: string
  /** What was probably meant. */
  readonly suggestion?: string
  /** Where the same thing stands already. */
  readonly earlier?: Place
}

export interface Substituted {
  readonly text: string
  /** Leads from `text` back to the original. */
  readonly map: SourceMap
  /** Substitutions that cannot be read, with places in the original. They stand unchanged in `text`. */
  readonly faults: readonly Fault[]
}

/**
 * Puts the values of variables into a text: `${X}`, `${X:-default}` and the other forms of contract 5.2. Also turns
 * `$$` into `$`, `\\` into `\` and `\/` into `/`, anywhere. Never throws.
 */
export function substitute(text: string, env: Environment): Substituted {
  const map = new SourceMap()
  const faults: Fault[] = []
  let made = ''

  function put(value: string, start: number, end: number, copied: boolean): void {
    map.add(made.length, { start, end }, copied)
    made += value
  }

  for (let at = 0; at < text.length;) {
    const special = nextSpecial(text, at)
    if (special > at) put(text.slice(at, special), at, special, true)
    at = special
    const pair = text.slice(at, at + 2)
    if (pair === '$$' || pair === '\\\\' || pair === '\\/') {
      put(pair.slice(1), at, at + 2, false)
      at += 2
    } else if (pair === '${') {
      const read = readSubstitution(text, at, env)
      if ('fault' in read) {
        faults.push(read.fault)
        // Goes on behind the `${` that is wrong, so that it is reported once, and what follows too.
        const end = read.fault.place.start + 2
        put(text.slice(at, end), at, end, true)
        at = end
      } else {
        put(read.value, at, read.end, false)
        at = read.end
      }
    } else if (at < text.length) {
      put(text.slice(at, at + 1), at, at + 1, true)
      at += 1
    }
  }
  return { text: made, map, faults }
}

/** No substitution: the text as it is. */
export function leaveAsIs(text: string): Substituted {
  const map = new SourceMap()
  map.add(0, { start: 0, end: text.length }, true)
  return { text, map, faults: [] }
}

function nextSpecial(text: string, from: number): number {
  for (let at = from; at < text.length; at++) if (text[at] === '$' || text[at] === '\\') return at
  return text.length
}

type Read = { readonly value: string; readonly end: number } | { readonly fault: Fault }

function readSubstitution(text: string, at: number, env: Environment): Read {
  try {
    const reader = new SubstitutionReader(text, at, env)
    const value = reader.read()
    return { value, end: reader.at }
  } catch (error) {
    if (error instanceof Malformed) return { fault: error.fault }
    throw error
  }
}

class Malformed extends Error {
  readonly fault: Fault

  constructor(fault: Fault) {
    super(fault.message)
    this.fault = fault
  }
}

const ACCEPTED =
  '${NAME}, ${NAME:-default}, with a name of letters, digits and underscores; $${ where the text "${" itself is meant'

/** Deeper than anybody nests, shallower than the stack. */
const MAX_DEPTH = 100

const NAME = /[\p{L}\p{Nd}_]+/uy

/** Reads one `${…}`, and those inside it, from a position on. */
class SubstitutionReader {
  at: number
  readonly #text: string
  readonly #env: Environment
  #depth = 0

  constructor(text: string, at: number, env: Environment) {
    this.#text = text
    this.at = at
    this.#env = env
  }

  /** The value of the `${…}` that begins here. Ends behind its brace. */
  read(): string {
    const start = this.at
    this.at += 2
    if (++this.#depth > MAX_DEPTH)
      throw this.#malformed(start, `more than ${MAX_DEPTH} substitutions in each other`)
    const value = this.#accepts('#') ? this.#length(start) : this.#valueOrForm(start)
    this.#depth--
    return value
  }

  #length(start: number): string {
    const name = this.#name(start)
    this.#close(start)
    return byteLength(this.#lookUp(name))
  }

  #valueOrForm(start: number): string {
    const name = this.#name(start)
    const operator = this.#operator()
    if (operator === '') {
      this.#closeName(start, name)
      return this.#lookUp(name)
    }
    const args = this.#args(start, operator)
    this.#close(start)
    const value = this.#lookUp(name)
    // An operator that faas-cli reads but does not know (`,^`) leaves the value alone there.
    const result = (FORMS[operator] ?? String)(value, ...args)
    if (result !== undefined) return result
    const written = JSON.stringify(this.#text.slice(start, this.at))
    throw this.#malformed(start, `${written} asks for a part that the value of ${name} does not have`, {
      accepted: 'a length that is not negative, and a part that does not cut a character in two',
    })
  }

  /** What stands between a name and its arguments: `:-`, `//`, `%%` …, or nothing. */
  #operator(): string {
    return this.#take(/:[-=?+]?|=|[,^]{1,2}|\/[/#%]?|##?|%%?/y)
  }

  #args(start: number, operator: string): string[] {
    if (/^[,^]/.test(operator)) return []
    if (operator.startsWith('/')) return this.#replacement(start)
    if (operator === ':') return this.#positions(start)
    if (/^[#%]/.test(operator)) return [this.#argument(start, '}')]
    const parts: string[] = []
    while (this.#peek() !== '}') parts.push(this.#argument(start, '}'))
    return parts
  }

  #replacement(start: number): string[] {
    const replaced = this.#argument(start, '/', true)
    if (this.#take(/\/+/y) === '') throw this.#notClosed(start)
    return this.#peek() === '}' ? [replaced] : [replaced, this.#argument(start, '}', true)]
  }

  #positions(start: number): string[] {
    const position = this.#argument(start, ':}')
    return this.#take(/:+/y) === '' ? [position] : [position, this.#argument(start, '}')]
  }

  /** A nested substitution, or text up to one, up to a character of `stop`, or the end. Not empty. */
  #argument(start: number, stop: string, escapes = false): string {
    if (this.#atSubstitution()) return this.read()
    let argument = ''
    while (this.at < this.#text.length && !this.#atSubstitution()) {
      const pair = this.#text.slice(this.at, this.at + 2)
      const escaped = escapes && (pair === '$$' || pair === '\\\\' || pair === '\\/')
      if (!escaped && stop.includes(pair.charAt(0))) break
      argument += pair.charAt(escaped ? 1 : 0)
      this.at += escaped ? 2 : 1
    }
    if (argument === '') throw this.#notClosed(start)
    return argument
  }

  #name(start: number): string {
    const name = this.#take(NAME)
    if (name !== '') return name
    throw this.#malformed(start, `${this.#written(start)} has no variable name after the brace`)
  }

  #lookUp(name: string): string {
    return (Object.hasOwn(this.#env, name) ? this.#env[name] : undefined) ?? ''
  }

  #close(start: number): void {
    if (!this.#accepts('}')) throw this.#notClosed(start)
  }

  #closeName(start: number, name: string): void {
    if (this.#accepts('}')) return
    const next = this.#peek()
    if (next === '' || next === '\n') throw this.#notClosed(start)
    const suggestion = /[-+?]/.test(next) ? { suggestion: `\${${name}:-` } : {}
    throw this.#malformed(
      start,
      `${this.#written(start)} has ${JSON.stringify(next)} after the name ${name}, where a closing brace is missing`,
      suggestion,
    )
  }

  #notClosed(start: number): Malformed {
    if (this.at >= this.#text.length)
      return this.#malformed(start, `${this.#written(start)} has no closing brace`)
    return this.#malformed(start, `${this.#written(start)} is not a complete substitution`)
  }

  #malformed(start: number, message: string, more: Partial<Fault> = {}): Malformed {
    const end = start + this.#source(start).length
    return new Malformed({ place: { start, end }, message, accepted: ACCEPTED, ...more })
  }

  #written(start: number): string {
    return JSON.stringify(this.#source(start))
  }

  /** The substitution as it stands in the file, up to its brace or the end of its line. */
  #source(start: number): string {
    return /^\$\{[^}\r\n]{0,60}\}?/.exec(this.#text.slice(start, start + 70))?.[0] ?? '${'
  }

  #atSubstitution(): boolean {
    return this.#text.startsWith('${', this.at)
  }

  #accepts(character: string): boolean {
    if (this.#peek() !== character) return false
    this.at += 1
    return true
  }

  #peek(): string {
    return this.#text.charAt(this.at)
  }

  /** The text that a sticky expression matches here, or nothing. */
  #take(expression: RegExp): string {
    expression.lastIndex = this.at
    const taken = expression.exec(this.#text)?.[0] ?? ''
    this.at += taken.length
    return taken
  }
}
