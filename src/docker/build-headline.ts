/** Longest headline: what fits on two lines of a terminal. */
const HEADLINE_LIMIT = 200

/** `SyntaxError: …`, `AssertionError [ERR_ASSERTION]: …`, as languages with exceptions say it. */
const EXCEPTION = /^[#\s]*((?:\w+\.)*\w+(?:Error|Exception)(?: \[\w+\])?(?:: .*)?)$/

/** `x.go:9:1: …`, `x.ts(9,1): …`, `x.sh: line 9: …`: the place and the reason in one. */
const COMPLAINT = /^\s*\S+\.\w+(?::\d+(?::\d+)?|\(\d+,\d+\)|: line \d+): \S/

const BAD_WORD =
  /\b(?:error|errors|fail|failed|failure|fatal|panic|cannot|could not|unable|denied|not found|no such)\b/i

/** How far around an exception its place is looked for. */
const NEAR = 8

/**
 * The line of a failed command's output that says what is wrong, with the place where it is wrong when that stands on another
 * line. The last line when none says so clearly: that is where commands end. Undefined when there is no output.
 *
 * `printed` is all that is known of the output, of which `lines` is the end. A test that failed is looked for in all of it, for
 * any number of tests that pass may come after it; anything else only in the end, for a command goes on after a warning.
 */
export function headlineOf(lines: readonly string[], printed = lines): string | undefined {
  // What tests that pass print of failures is a part of them.
  const test = failedTest(printed)
  if (test !== undefined) return cut(test)
  const clear = lines.findIndex((line) => EXCEPTION.test(line) || COMPLAINT.test(line))
  if (clear !== -1) {
    const line = lines[clear] ?? ''
    const [, exception] = EXCEPTION.exec(line) ?? []
    if (exception === undefined) return cut(line.trim())
    const place = placeBefore(lines, clear) ?? placeAfter(lines, clear)
    return cut(place === undefined ? exception : `${place} ${exception}`)
  }
  const told = lines.find((line) => BAD_WORD.test(line)) ?? lines.at(-1)
  return told === undefined ? undefined : cut(told.trim())
}

/** What TAP, or node:test's own report, says of the first test that failed: where, its name, why. */
function failedTest(lines: readonly string[]): string | undefined {
  for (const [at, line] of lines.entries()) {
    const told = inTap(lines, at, line) ?? inReport(lines, at, line)
    if (told !== undefined) return told
  }
  return undefined
}

/** `not ok 2 - NAME`, and what is known of it between `---` and `...`. */
function inTap(lines: readonly string[], at: number, line: string): string | undefined {
  const [, indent = '', name] = /^(\s*)not ok \d+(?: -)? (.+)$/.exec(line) ?? []
  if (name === undefined || /# (?:TODO|SKIP)\b/i.test(name)) return undefined
  const isBlock = lines[at + 1]?.trim() === '---'
  const end = lines.findIndex((other, index) => index > at && other === `${indent}  ...`)
  const block = isBlock ? lines.slice(at + 2, end === -1 ? undefined : end) : []
  const reason = valueOf(block, 'error')
  // Of a test around others, and of a file that ends with an exception, this is not the reason.
  if (valueOf(block, 'failureType') === 'subtestsFailed' || reason === 'test failed') return undefined
  const kind = valueOf(block, 'name')
  const why = [kind, reason].filter((part) => part !== undefined).join(': ')
  const place = block.map(framePlace).find((found) => found !== undefined) ?? valueOf(block, 'location')
  return testLine(place, name.replace(/\\(.)/g, '$1'), why)
}

/** `✖ NAME (1.2ms)`, and the exception below it. */
function inReport(lines: readonly string[], at: number, line: string): string | undefined {
  const [, name] = /^\s*✖ (.+?)(?: \([\d.]+ms\))?$/.exec(line) ?? []
  // `'test failed'`, in quotation marks, is said of a file that ends with an exception.
  const [, exception] = /^\s+(\w*(?:Error|Exception)\b.*)$/.exec(lines[at + 1] ?? '') ?? []
  if (name === undefined || exception === undefined) return undefined
  const next = lines.findIndex((other, index) => index > at && other.includes('✖ '))
  const place = lines
    .slice(at + 2, next === -1 ? undefined : next)
    .map(framePlace)
    .find((found) => found !== undefined)
  return testLine(place, name, exception)
}

function testLine(place: string | undefined, name: string, why: string): string {
  const told = why === '' ? `${name} failed` : `${name}: ${why}`
  return place === undefined ? told : `${place} ${told}`
}

/** A value of a TAP block, of several lines the first. */
function valueOf(block: readonly string[], key: string): string | undefined {
  const at = block.findIndex((line) => line.trimStart().startsWith(`${key}: `))
  if (at === -1) return undefined
  const value = (block[at] ?? '').trim().slice(key.length + 2)
  if (/^[|>]/.test(value)) return block[at + 1]?.trim()
  return value.replace(/^(['"])(.*)\1$/, '$2')
}

/** The place of a stack frame, in a TAP block or below an exception, that is neither the language's own nor a package's. */
function framePlace(line: string): string | undefined {
  const [, place] = /^\s.*?\((?:file:\/\/)?([^\s()]+\.\w+:\d+:\d+)\)/.exec(line) ?? []
  return place === undefined || /^node:|node_modules/.test(place) ? undefined : place
}

/** Node names the place above the excerpt of the code, Python in the last frame above. */
function placeBefore(lines: readonly string[], at: number): string | undefined {
  for (const line of lines.slice(Math.max(0, at - NEAR), at).toReversed()) {
    const [, alone] = /^[#\s]*(\S+\.\w+:\d+(?::\d+)?)$/.exec(line) ?? []
    if (alone !== undefined) return alone
    const [, file, number] = /^\s*File "([^"]+)", line (\d+)/.exec(line) ?? []
    if (file !== undefined) return `${file}:${number}`
  }
  return undefined
}

/** The first frame that is neither the language's own nor a package's. */
function placeAfter(lines: readonly string[], at: number): string | undefined {
  return lines
    .slice(at + 1, at + 1 + NEAR)
    .map((line) => /^[#\s]*at .*?([^\s()]+\.\w+:\d+:\d+)\)?$/.exec(line)?.[1])
    .find((place) => place !== undefined && !/^node:|node_modules/.test(place))
}

function cut(text: string): string {
  return text.length <= HEADLINE_LIMIT ? text : `${text.slice(0, HEADLINE_LIMIT - 1)}…`
}
