import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { FaasError } from '../core/errors.ts'
import { reasonOf } from '../stack/stack-location.ts'
import type { Context } from './command.ts'

/** Longest wait for a document behind an address. */
const FETCH_TIMEOUT_MS = 15_000

export const isAddress = (place: string): boolean => /^https?:\/\//i.test(place)

/**
 * The JSON of a file, relative to the working directory, or of an http(s) address. `what` names it in errors.
 * FILE_NOT_READABLE, or the reason why the command was stopped.
 */
export async function readJsonDocument(
  { io, signal }: Context,
  place: string,
  what: string,
): Promise<unknown> {
  const text = await (
    isAddress(place) ? download(place, signal) : readFile(resolve(io.cwd, place), 'utf8')
  ).catch((cause: unknown) => {
    signal.throwIfAborted()
    throw unreadable(`${what} ${place} cannot be read: ${reasonOf(cause)}`, cause)
  })
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw unreadable(`${what} ${place} is no JSON: ${(cause as Error).message}`, cause)
  }
}

async function download(address: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(address, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]),
  })
  if (!response.ok) throw new Error(`the server answered ${response.status} ${response.statusText}`.trim())
  return response.text()
}

/** For what can be read but is something else. */
export function unreadable(message: string, cause?: unknown): FaasError {
  return new FaasError('FILE_NOT_READABLE', {
    message,
    remedy: 'Name another one with --url: an address, or a file that you have downloaded.',
    cause,
  })
}
