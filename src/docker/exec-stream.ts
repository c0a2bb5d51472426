import { Duplex, Transform } from 'node:stream'
import type { TransformCallback } from 'node:stream'
import type { Engine } from './client.ts'
import { engineFailure } from './errors.ts'

/** A command that runs in a container. */
export interface ExecStream {
  /** Its standard input and output. Ends when the command does; destroying it ends the command's input. */
  readonly stream: Duplex
  /** What it has written to its standard error, at most some kilobytes. */
  errors(): string
}

/** Docker's frame around each piece of output: stream type, three zero bytes, length. */
const FRAME_HEADER_BYTES = 8
const STDERR = 2
/** Standard error is for a message, not for reading. */
const MOST_ERROR_BYTES = 8192

/** Runs a command as the container's own user, through the engine's connection. ENGINE_FAILED, also when the container is gone. */
export async function execStream(
  engine: Engine,
  container: string,
  command: readonly string[],
  env: readonly string[] = [],
): Promise<ExecStream> {
  try {
    const exec = await engine.getContainer(container).exec({
      Cmd: [...command],
      Env: [...env],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
      Tty: false,
    })
    const raw = await exec.start({ hijack: true, stdin: true, Tty: false })
    const output = new OutputFrames()
    raw.pipe(output)
    raw.on('close', () => output.end())
    const stream = Duplex.from({ readable: output, writable: raw })
    raw.on('error', (error) => stream.destroy(error))
    stream.on('close', () => raw.destroy())
    return { stream, errors: () => output.errors }
  } catch (error) {
    throw engineFailure(error, `run ${command[0] ?? ''} in container ${container.slice(0, 12)}`)
  }
}

/** Takes the engine's frames off: standard output goes on, standard error is kept. */
class OutputFrames extends Transform {
  errors = ''
  #header: Buffer = Buffer.alloc(0)
  #source = 0
  /** Bytes that the present frame still has. */
  #left = 0

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    let rest = chunk
    while (rest.length > 0) rest = this.#left > 0 ? this.#takeBody(rest) : this.#takeHeader(rest)
    done()
  }

  #takeHeader(bytes: Buffer): Buffer {
    const missing = FRAME_HEADER_BYTES - this.#header.length
    this.#header = Buffer.concat([this.#header, bytes.subarray(0, missing)])
    if (this.#header.length === FRAME_HEADER_BYTES) {
      this.#source = this.#header[0] ?? 0
      this.#left = this.#header.readUInt32BE(4)
      this.#header = Buffer.alloc(0)
    }
    return bytes.subarray(missing)
  }

  #takeBody(bytes: Buffer): Buffer {
    const body = bytes.subarray(0, this.#left)
    this.#left -= body.length
    if (this.#source !== STDERR) this.push(body)
    else if (this.errors.length < MOST_ERROR_BYTES) this.errors += body.toString('utf8')
    return bytes.subarray(body.length)
  }
}
