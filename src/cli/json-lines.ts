/** The JSON values of a stream that has one on each line. Empty and broken lines are skipped: a stream may be cut anywhere. */
export async function* readJsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield* parseLine(line)
  }
  yield* parseLine(rest + decoder.decode())
}

function* parseLine(line: string): Generator {
  if (line.trim() === '') return
  try {
    yield JSON.parse(line)
  } catch {
    // A half line of a connection that was cut.
  }
}
