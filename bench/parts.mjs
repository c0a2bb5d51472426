import { fork } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FOLDER = dirname(fileURLToPath(import.meta.url))

/** Processes of one benchmark, each a file of this folder. */
export class Parts {
  #children = []

  /** One more that ends with the others. */
  add(child) {
    this.#children.push(child)
  }

  /** Starts one and waits for the first thing that it says; `argv` as texts. */
  async start(file, { argv = [], env = {} } = {}) {
    const child = fork(join(FOLDER, file), argv.map(String), { env: { ...process.env, ...env } })
    this.#children.push(child)
    return { child, said: await heard(child) }
  }

  end() {
    for (const child of this.#children) child.kill()
  }
}

/** Says something to a process and waits for what it says next; fails when it names an `error`, or ends. */
export function ask(child, message) {
  child.send(message)
  return heard(child)
}

async function heard(child) {
  const over = new AbortController()
  const [message] = await Promise.race([
    once(child, 'message', over),
    once(child, 'exit', over).then(([code]) => {
      throw new Error(`a part of the benchmark ended with ${code}`)
    }),
  ]).finally(() => over.abort())
  if (message.error !== undefined) throw new Error(message.error)
  return message
}
