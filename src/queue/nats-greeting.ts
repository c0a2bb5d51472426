import { connect } from 'node:net'

const LIMIT_MS = 500

/** The name that a NATS server at `HOST:PORT` says of itself, before anybody has told it a secret; undefined when none answers. */
export function greet(server: string): Promise<string | undefined> {
  const at = server.lastIndexOf(':')
  return new Promise((resolve) => {
    let text = ''
    const socket = connect({ host: server.slice(0, at), port: Number(server.slice(at + 1)) })
    const done = (name?: string): void => {
      socket.destroy()
      resolve(name)
    }
    socket.setTimeout(LIMIT_MS, () => done())
    socket.once('error', () => done())
    socket.once('close', () => done())
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
      const end = text.indexOf('\r\n')
      if (end >= 0) done(nameIn(text.slice(0, end)))
    })
  })
}

function nameIn(line: string): string | undefined {
  try {
    const { server_name: name } = JSON.parse(line.replace(/^INFO /, '')) as { server_name?: string }
    return name
  } catch {
    return undefined
  }
}
