import type { Context } from './command.ts'

const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/

/** Says that what is secret goes to `address` for everybody on the way to read; silent for this machine and for TLS. */
export function warnPlainText({ print }: Pick<Context, 'print'>, address: string): void {
  const { protocol, hostname } = new URL(address)
  if (protocol === 'http:' && !LOOPBACK.test(hostname))
    print.note(`warning: ${address} is not encrypted: what is secret can be read on the way; use https`)
}
