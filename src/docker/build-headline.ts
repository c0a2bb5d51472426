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
 */
export function headlineOf(lines: readonly string[]): string | undefined {
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
