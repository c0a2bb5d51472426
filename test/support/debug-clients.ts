import { once } from 'node:events'
import { connect } from 'node:net'
import { WebSocket } from 'ws'
import { until } from './until.ts'

type Body = Readonly<Record<string, unknown>>

/** What a debugger has been told, and a way to wait for more. */
class Inbox<T> {
  readonly #messages: T[] = []

  push(message: T): void {
    this.#messages.push(message)
  }

  /** The first message that fits, which is taken out. */
  take(fits: (message: T) => boolean, what: string): Promise<T> {
    return until(
      () => {
        const index = this.#messages.findIndex(fits)
        return index < 0 ? undefined : this.#messages.splice(index, 1)[0]
      },
      { everyMs: 5, what: () => what },
    )
  }
}

interface CdpMessage {
  readonly id?: number
  readonly method?: string
  readonly params?: Body
  readonly result?: Body
  readonly error?: { readonly message: string }
}

/** A debugger of Node, as Chrome, VS Code and the JetBrains IDEs are: by way of what /json/list says. */
export interface CdpClient extends Disposable {
  ask(method: string, params?: Body): Promise<Body>
  /** The next event of that name. */
  event(method: string): Promise<Body>
  readonly closed: Promise<unknown>
}

export async function cdpClient(port: number): Promise<CdpClient> {
  const url = await until(
    async () => {
      const list = await fetch(`http://127.0.0.1:${port}/json/list`).catch(() => undefined)
      const targets = (await list?.json().catch(() => [])) as { webSocketDebuggerUrl: string }[] | undefined
      return targets?.[0]?.webSocketDebuggerUrl
    },
    { what: () => `a target at port ${port}` },
  )
  const socket = new WebSocket(url)
  const inbox = new Inbox<CdpMessage>()
  socket.on('message', (text: Buffer) => inbox.push(JSON.parse(text.toString()) as CdpMessage))
  const closed = once(socket, 'close')
  closed.catch(() => undefined)
  await once(socket, 'open')
  let last = 0
  return {
    closed,
    async ask(method, params = {}) {
      const id = ++last
      socket.send(JSON.stringify({ id, method, params }))
      const { result, error } = await inbox.take((message) => message.id === id, `an answer to ${method}`)
      if (error) throw new Error(`${method}: ${error.message}`)
      return result ?? {}
    },
    event: async (method) => (await inbox.take((message) => message.method === method, method)).params ?? {},
    [Symbol.dispose]: () => socket.terminate(),
  }
}

/** Attached, with a breakpoint at a line (from 1) of a file in the container. */
export async function cdpBreakpoint(port: number, file: string, line: number): Promise<CdpClient> {
  const client = await cdpClient(port)
  await client.ask('Runtime.enable')
  await client.ask('Debugger.enable')
  await client.ask('Debugger.setBreakpointByUrl', { url: `file://${file}`, lineNumber: line - 1 })
  await client.ask('Debugger.setBreakpointByUrl', { url: file, lineNumber: line - 1 })
  return client
}

interface DapMessage {
  readonly type: 'request' | 'response' | 'event'
  readonly command?: string
  readonly event?: string
  readonly request_seq?: number
  readonly success?: boolean
  readonly message?: string
  readonly body?: Body
}

/** A debugger by the Debug Adapter Protocol, as VS Code and PyCharm are for Python. */
export interface DapClient extends Disposable {
  ask(command: string, args?: Body): Promise<Body>
  event(name: string): Promise<Body>
  readonly closed: Promise<unknown>
}

function dapClient(port: number): DapClient {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  const inbox = new Inbox<DapMessage>()
  socket.on('error', () => undefined)
  const closed = once(socket, 'close')
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    for (;;) {
      const head = rest.indexOf('\r\n\r\n')
      if (head < 0) return
      const length = Number(/Content-Length: (\d+)/i.exec(rest.toString('latin1', 0, head))?.[1])
      const end = head + 4 + length
      if (rest.length < end) return
      inbox.push(JSON.parse(rest.toString('utf8', head + 4, end)) as DapMessage)
      rest = rest.subarray(end)
    }
  })
  let last = 0
  const send = (command: string, args: Body): number => {
    const seq = ++last
    const text = JSON.stringify({ seq, type: 'request', command, arguments: args })
    socket.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
    return seq
  }
  return {
    closed,
    async ask(command, args = {}) {
      const seq = send(command, args)
      // `attach` is answered when the configuration is done.
      if (command === 'attach') return {}
      const { success, message, body } = await inbox.take(
        ({ type, request_seq }) => type === 'response' && request_seq === seq,
        `an answer to ${command}`,
      )
      if (success !== true) throw new Error(`${command}: ${message ?? ''}`)
      return body ?? {}
    },
    event: async (name) =>
      (await inbox.take((message) => message.type === 'event' && message.event === name, name)).body ?? {},
    [Symbol.dispose]: () => socket.destroy(),
  }
}

/** Attached, with a breakpoint at a line (from 1) of a file here that is another one in the container. */
export async function dapBreakpoint(
  port: number,
  roots: { readonly localRoot: string; readonly remoteRoot: string },
  file: string,
  line: number,
): Promise<DapClient> {
  const client = dapClient(port)
  await client.ask('initialize', { adapterID: 'test', pathFormat: 'path', linesStartAt1: true })
  await client.ask('attach', { pathMappings: [roots] })
  await client.event('initialized')
  await client.ask('setBreakpoints', {
    source: { path: `${roots.localRoot}/${file}` },
    breakpoints: [{ line }],
  })
  await client.ask('configurationDone')
  return client
}
