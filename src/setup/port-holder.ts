import { readdir, readFile, readlink } from 'node:fs/promises'

/** A program that listens on a port. */
export interface PortHolder {
  readonly pid: number
  readonly command: string
}

const LISTENING = '0A'

/**
 * Which program listens on a TCP port of this machine: Linux only, from /proc, and only programs that this user may
 * look at. Undefined when nobody does or nobody can be named.
 */
export async function portHolder(port: number, proc = '/proc'): Promise<PortHolder | undefined> {
  const inodes = new Set<string>()
  for (const table of ['tcp', 'tcp6']) {
    const text = await readFile(`${proc}/net/${table}`, 'utf8').catch(() => '')
    for (const inode of listenersOn(port, text)) inodes.add(`socket:[${inode}]`)
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

/** Inodes of the sockets that listen on `port`, out of /proc/net/tcp. */
function listenersOn(port: number, table: string): string[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
    const listens = state === LISTENING && parseInt(local.split(':')[1] ?? '', 16) === port
    return listens && inode !== undefined ? [inode] : []
  })
}
