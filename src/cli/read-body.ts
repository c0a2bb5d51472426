/** What is read before a body is sent in pieces. Most bodies are smaller, and then their length can be told. */
const WHOLE_UP_TO = 1024 * 1024

/**
 * A body from a stream: as bytes when it is short, so that the request has a Content-Length, which CGI, WSGI and PHP
 * handlers are happier with; as a stream when it is long, so that nothing has to fit into memory.
 */
export async function readBody(
  stream: AsyncIterable<Uint8Array>,
): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  const reader = stream[Symbol.asyncIterator]()
  const start: Uint8Array[] = []
  for (let size = 0; size <= WHOLE_UP_TO;) {
    const next = await reader.next()
    if (next.done) return Buffer.concat(start)
    start.push(next.value)
    size += next.value.byteLength
  }
  return (async function* () {
    yield* start
    for (let next = await reader.next(); !next.done; next = await reader.next()) yield next.value
  })()
}
