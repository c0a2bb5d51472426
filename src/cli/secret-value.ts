import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import type { Option } from 'commander'
import { FaasError } from '../core/errors.ts'
import { flag } from './command.ts'
import type { Context } from './command.ts'
import { refuseTogether } from './spec-flags.ts'

export interface SecretFlags {
  readonly fromLiteral?: string
  readonly fromFile?: string
  readonly trim?: boolean
}

export function secretOptions(): Option[] {
  return [
    flag('--from-literal <value>', 'the value itself (seen by others in the list of processes)'),
    flag('--from-file <file>', 'the value is the content of a file'),
    ...trimOptions(),
  ]
}

export function trimOptions(): Option[] {
  return [
    flag(
      '--trim',
      'take white space off both ends of the value (default: not of files, whose bytes are kept; --trim=false: never)',
    ),
    flag('--no-trim').hideHelp(),
  ]
}

/** The value that flags name, or standard input's. BAD_USAGE, FILE_NOT_READABLE. Never written anywhere. */
export async function readSecretValue({ io, print }: Context, flags: SecretFlags): Promise<Uint8Array> {
  refuseTogether({
    '--from-literal': flags.fromLiteral !== undefined,
    '--from-file': flags.fromFile !== undefined,
  })
  return keepOrTrim(await read(), flags.trim ?? flags.fromFile === undefined, 'the secret')

  async function read(): Promise<Uint8Array> {
    if (flags.fromLiteral !== undefined) return Buffer.from(flags.fromLiteral)
    if (flags.fromFile !== undefined) return readNamed(resolve(io.cwd, flags.fromFile))
    if (io.stdin.isTTY) print.note('reading the value from the terminal; end it with Ctrl-D')
    return buffer(io.stdin)
  }
}

/**
 * The bytes of a value, or what is left of them without white space at both ends; BAD_USAGE when that is nothing. Files
 * keep theirs unless somebody asks: that is what faas-cli's `rawValue` holds, whatever its `--trim` says (contract 1.10).
 */
export function keepOrTrim(value: Uint8Array, trims: boolean, what: string): Uint8Array {
  const kept = trims ? trim(value) : value
  if (kept.byteLength > 0) return kept
  throw new FaasError('BAD_USAGE', {
    message: `the value of ${what} is empty`,
    remedy:
      'Give one with --from-literal, --from-file or standard input; a file of secrets must not be empty.',
  })
}

async function readNamed(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new FaasError('FILE_NOT_READABLE', {
      message: `${file} cannot be read: ${(cause as Error).message}`,
      remedy: 'Name a file with --from-file that is there and readable.',
      cause,
    })
  }
}

/** Bytes without white space at both ends; what is between may be anything, UTF-8 or not. */
function trim(value: Uint8Array): Uint8Array {
  const isSpace = (byte: number | undefined): boolean =>
    byte === 32 || (byte !== undefined && byte >= 9 && byte <= 13)
  let start = 0
  let end = value.byteLength
  while (start < end && isSpace(value[start])) start++
  while (end > start && isSpace(value[end - 1])) end--
  return value.subarray(start, end)
}
