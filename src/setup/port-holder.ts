import { readdir, readFile, readlink } from 'node:fs/promises'

/** A program that listens on a port. */
export interface PortHolder {
  readonly pid: number
  readonly command: string
}

const LISTENING = '0A'

/**
 * Which program's listening keeps others from listening on that port and address of this machine: Linux only, from /proc,
 * and only programs that this user may look at. Undefined when there is none or it cannot be named.
 */
export async function portHolder(
  port: number,
  address: string,
  proc = '/proc',
): Promise<PortHolder | undefined> {
  const inodes = new Set<string>()
  for (const table of ['tcp', 'tcp6']) {
    const text = await readFile(`${proc}/net/${table}`, 'utf8').catch(() => '')
    for (const inode of listenersOn(port, address, text)) inodes.add(`socket:[${inode}]`)
  }
  if (inodes.size === 0) return undefined
  const pids = (await readdir(proc).catch(() => [])).filter((name) => /^\d+$/.test(name))
  for (const pid of pids) {
    const links = await readdir(`${proc}/${pid}/fd`).catch(() => [])
    const targets = await Promise.all(links.map((fd) => readlink(`${proc}/${pid}/fd/${fd}`).catch(() => '')))
    if (targets.some((target) => inodes.has(target))) {
      const command = await readFile(`${proc}/${pid}/cmdline`, 'utf8').catch(() => '')
      return { pid: Number(pid), command: command.split('\0').join(' ').trim() }
    }
  }
  return undefined
}

/** Inodes of the sockets that listen on `port` where `address` is, out of /proc/net/tcp. */
function listenersOn(port: number, address: string, table: string): string[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
    const [at = '', portThere = ''] = local.split(':')
    const listens = state === LISTENING && parseInt(portThere, 16) === port && overlap(addressOf(at), address)
    return listens && inode !== undefined ? [inode] : []
  })
}

const ANY = new Set(['0.0.0.0', '::'])

/** Who listens on all addresses listens on each: the IPv6 one usually takes IPv4 too. */
function overlap(one: string, other: string): boolean {
  return one === other || ANY.has(one) || ANY.has(other)
}

/** As the kernel writes it: words of four bytes, each in the order of an x86. IPv6 in its shortest form. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex').swap32()
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16))
  const [, shortest = ''] = /^\[(.*)\]$/.exec(new URL(`http://[${groups.join(':')}]`).hostname) ?? []
  return hex.startsWith(MAPPED) ? [...bytes.subarray(12)].join('.') : shortest
}

/** Beginning of an IPv4 address in a socket of IPv6, ::ffff:a.b.c.d. */
const MAPPED = '0000000000000000FFFF0000'
