import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { FaasError } from '../../core/errors.ts'
import { defineCommand, flag, numberFlag } from '../command.ts'

interface Flags {
  readonly length?: number
  readonly output?: string
}

const DEFAULT_BYTES = 32

/** A random value, for keys that two sides share. */
export const secretGenerate = defineCommand<Flags>({
  options: [
    numberFlag('--length <n>', `random bytes (default: ${DEFAULT_BYTES})`, 1),
    flag('-o, --output <file>', 'write it to a file that you alone can read, instead of standard output'),
  ],
  details: 'Random bytes in base64, without a newline where it goes into a file or a pipe. Asks no gateway.',
  examples: ['', '-o .secrets/payload-key', '--length 64 | faasdock secret create payload-key'],
  async run({ io, print }, _args, { length = DEFAULT_BYTES, output }) {
    const value = randomBytes(length).toString('base64')
    if (output === undefined) {
      if (print.json) print.value({ value })
      else if (io.stdout.isTTY) print.line(value)
      else await print.bytes(Buffer.from(value))
      return 0
    }
    const file = resolve(io.cwd, output)
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(file, value, { mode: 0o600, flag: 'wx' }).catch((cause: unknown) => {
      const { code, message } = cause as NodeJS.ErrnoException
      throw new FaasError('FILE_NOT_READABLE', {
        message: `${file} cannot be written: ${code === 'EEXIST' ? 'it is there already' : message}`,
        remedy: 'Remove it first, or name another file with --output.',
        cause,
      })
    })
    if (print.json) print.value({ file, bytes: length })
    print.say(`wrote a secret of ${length} bytes to ${file}`)
    return 0
  },
})
