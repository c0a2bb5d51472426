const LINE_FEED = 10
const encoder = new TextEncoder()

/** Head and body as one message: the head is a line of its own, so that people and tools can read it. */
export function pack(head: string, body: Uint8Array): Uint8Array {
  const line = encoder.encode(head)
  const payload = new Uint8Array(line.length + 1 + body.length)
  payload.set(line)
  payload[line.length] = LINE_FEED
  payload.set(body, line.length + 1)
  return payload
}

/** The two parts of a message. The body is a view of it. */
export function unpack(payload: Uint8Array): { readonly head: string; readonly body: Uint8Array } {
  const end = payload.indexOf(LINE_FEED)
  const at = end < 0 ? payload.length : end
  return {
    head: Buffer.from(payload.buffer, payload.byteOffset, at).toString('utf8'),
    body: payload.subarray(at + 1),
  }
}
