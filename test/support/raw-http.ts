import net from 'node:net'
import type { Socket } from 'node:net'
import { until } from './until.ts'

/** One connection of a caller that writes bytes itself. */
export interface RawCaller extends Disposable {
  readonly socket: Socket
  /** Everything that came so far, one character a byte. */
  readonly text: string
  readonly hasEnded: boolean
  write(text: string | Buffer): void
  /** Waits until what came matches, and gives the text. */
  sees(pattern: RegExp): Promise<string>
  /** Waits until the other side has closed, and gives the text. */
  closed(): Promise<string>
}

/** Connects; `text` is written at once. */
export function rawCaller(port: number, text: string | Buffer = ''): RawCaller {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  let [seen, hasEnded] = ['', false]
  socket.on('data', (chunk: Buffer) => (seen += chunk.toString('latin1')))
  socket.on('end', () => (hasEnded = true))
  socket.on('close', () => (hasEnded = true))
  socket.on('error', () => undefined)
  const write = (bytes: string | Buffer): void =>
    void socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  if (text.length > 0) write(text)
  const wait = (look: () => boolean, what: string): Promise<string> =>
    until(() => (look() ? seen : undefined), {
      limitMs: 8000,
      everyMs: 2,
      what: () => `${what}; so far: ${JSON.stringify(seen.slice(0, 2000))}`,
    })
  return {
    socket,
    get text() {
      return seen
    },
    get hasEnded() {
      return hasEnded
    },
    write,
    sees: (pattern) => wait(() => pattern.test(seen), String(pattern)),
    closed: async () => {
      await until(() => hasEnded, { limitMs: 8000, everyMs: 2, what: () => `the end; so far: ${seen}` })
      return seen
    },
    [Symbol.dispose]: () => socket.destroy(),
  }
}

/** Lines as a head, with its empty line. */
export function lines(...head: string[]): string {
  return `${head.join('\r\n')}\r\n\r\n`
}
