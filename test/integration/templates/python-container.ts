import { docker, start } from './images.ts'
import type { Container } from './images.ts'
import { swapEnv, swapping } from './node-process.ts'
import type { Swapping } from './node-process.ts'

/** `state` is the runtime's, not the engine's. */
export type SwapContainer = Omit<Container, 'state'> & Swapping

/** A container as a provider runs it that means to swap: with the token, and a handler folder that can be written. */
export async function startSwapping(
  image: string,
  options: { readonly env?: Readonly<Record<string, string>>; readonly flags?: readonly string[] } = {},
): Promise<SwapContainer> {
  const container = await start(image, {
    env: { ...swapEnv, ...options.env },
    flags: ['--read-only=false', ...(options.flags ?? [])],
  })
  return Object.assign(container, swapping((call) => container.call(call)))
}

/** A handler of the http contract that answers with the value of an expression. */
export const answering = (expression: string, before = ''): string =>
  `${before}\ndef handle(event, context):\n    return {"body": ${expression}}\n`

/** Resident memory of the first process, in KiB. */
export async function residentKib(container: Pick<Container, 'exec'>): Promise<number> {
  return Number(/^VmRSS:\s+(\d+)/m.exec(await container.exec('cat', '/proc/1/status'))?.[1])
}

/** Where the engine's host reaches it without the proxy of a published port. */
export function addressOf(container: Pick<Container, 'id'>): Promise<string> {
  return docker('inspect', '--format', '{{.NetworkSettings.IPAddress}}', container.id)
}
