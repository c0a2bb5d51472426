const LINE_FEED = 10
/** Begins the line of a message that is not due yet; no head begins so. */
const DUE_MARK = 1
const encoder = new TextEncoder()

interface Envelope {
  readonly head: string
  readonly body: Uint8Array
  /** Milliseconds since the epoch before which it is not to be handed out; 0 for at once. */
  readonly dueAt: number
}

/**
 * Head and body as one message: the head is a line of its own, so that people and tools can read it. When it is due stands
 * in a line before that, and in no header of the message: reading those costs more than all the rest.
 */
export function pack(head: string, body: Uint8Array, dueAt?: number): Uint8Array {
  const line = encoder.encode(dueAt === undefined ? head : `\u0001${dueAt}\n${head}`)
  const payload = new Uint8Array(line.length + 1 + body.length)
  payload.set(line)
  payload[line.length] = LINE_FEED
  payload.set(body, line.length + 1)
  return payload
}

/** The parts of a message. The body is a view of it. */
export function unpack(payload: Uint8Array): Envelope {
  if (payload[0] !== DUE_MARK) return split(payload, 0)
  const { head: due, body: rest } = split(payload, 0)
  return split(rest, Number(due.slice(1)))
}

function split(payload: Uint8Array, dueAt: number): Envelope {
  const end = payload.indexOf(LINE_FEED)
  const at = end < 0 ? payload.length : end
  const head = Buffer.from(payload.buffer, payload.byteOffset, at).toString('utf8')
  return { head, body: payload.subarray(at + 1), dueAt }
}
