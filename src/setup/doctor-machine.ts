import { constants } from 'node:fs'
import { access, readFile, stat, statfs } from 'node:fs/promises'
import { createServer, isIPv6 } from 'node:net'
import { dirname } from 'node:path'
import type { DoctorCheck } from '../core/toolbox.ts'
import { portHolder } from './port-holder.ts'

/** As package.json's `engines` says. */
const OLDEST_NODE = [20, 18, 1] as const

/** Whether this Node is new enough. */
export function nodeCheck(version: string): DoctorCheck {
  const parts = version.split('.').map(Number)
  const difference =
    OLDEST_NODE.map((least, index) => (parts[index] ?? 0) - least).find((delta) => delta !== 0) ?? 0
  if (difference >= 0) return { name: 'node', ok: 'ok', detail: version }
  return {
    name: 'node',
    ok: 'fail',
    detail: `${version} is older than ${OLDEST_NODE.join('.')}`,
    remedy: 'Install a current Node, e.g. with your version switcher: nvm install 22',
  }
}

/** Whether the gateway could listen there; if not, who does. */
export async function portCheck(port: number, address: string): Promise<DoctorCheck> {
  const name = `port ${port}`
  const problem = await tryToListen(port, address)
  if (problem === undefined) return { name, ok: 'ok', detail: `free on ${address}` }
  if (problem === 'EACCES') {
    return {
      name,
      ok: 'fail',
      detail: 'this user may not listen there',
      remedy: 'Choose a port above 1023: --port 8080',
    }
  }
  if (problem !== 'EADDRINUSE') return { name, ok: 'fail', detail: `cannot listen on ${address}: ${problem}` }
  const [holder, isOurs] = await Promise.all([portHolder(port, address), isGateway(port, address)])
  // Only processes of this user have a name here, or all of them for root.
  if (isOurs && holder) return { name, ok: 'ok', detail: `faasdock runs there: process ${holder.pid}` }
  if (isOurs) {
    return {
      name,
      ok: 'warn',
      detail: 'a faasdock that is not this user’s runs there',
      remedy: `Choose another port: --port ${port + 1}`,
    }
  }
  return {
    name,
    ok: 'warn',
    detail: holder
      ? `in use by pid ${holder.pid}: ${holder.command}`
      : 'in use by a program that cannot be named',
    remedy: holder
      ? `Stop it (kill ${holder.pid}), or choose another port: --port ${port + 1}`
      : `Choose another port: --port ${port + 1}   (sudo ss -ltnp 'sport = :${port}' names the program)`,
  }
}

/** Whether state can be kept in `dataDir`, and how much fits. */
export async function dataChecks(dataDir: string): Promise<DoctorCheck[]> {
  const present = await nearestExisting(dataDir)
  const writable = await access(present, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
  const folder = (await stat(present)).isDirectory()
  if (!folder || !writable) {
    return [
      {
        name: 'data directory',
        ok: 'fail',
        detail: `${dataDir}: ${present} ${folder ? 'cannot be written' : 'is not a folder'}`,
        remedy: folder
          ? `Run: sudo chown "$USER" ${present}`
          : `Move ${present} away, or choose another data directory.`,
      },
    ]
  }
  return [{ name: 'data directory', ok: 'ok', detail: dataDir }, await diskCheck('data disk', present)]
}

const GIB = 1024 ** 3

/** Free space of the file system that `folder` is on: below 1 GiB builds fail, below 5 GiB they soon will. */
export async function diskCheck(name: string, folder: string): Promise<DoctorCheck> {
  const { bavail, bsize } = await statfs(folder)
  const free = (bavail * bsize) / GIB
  const detail = `${free.toFixed(1)} GiB free at ${folder}`
  if (free >= 5) return { name, ok: 'ok', detail }
  const remedy = 'Free some: faasdock gc --yes, then docker system prune'
  return { name, ok: free < 1 ? 'fail' : 'warn', detail, remedy }
}

/** Limits of file watching: a handler folder with many files runs into them. Linux only. */
export async function watchCheck(proc = '/proc'): Promise<DoctorCheck[]> {
  const limit = async (name: string): Promise<number | undefined> =>
    readFile(`${proc}/sys/fs/inotify/${name}`, 'utf8').then(Number, () => undefined)
  const [watches, instances] = await Promise.all([limit('max_user_watches'), limit('max_user_instances')])
  if (watches === undefined || instances === undefined) return []
  const detail = `${watches} watches, ${instances} instances`
  if (watches >= 16_384 && instances >= 128) return [{ name: 'file watching', ok: 'ok', detail }]
  return [
    {
      name: 'file watching',
      ok: 'warn',
      detail: `${detail}: too few for large projects`,
      remedy: 'Run: sudo sysctl -w fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512',
    },
  ]
}

/** Whether a gateway of faasdock answers there: what it says of functions that are not there bears its name. */
async function isGateway(port: number, address: string): Promise<boolean> {
  const host =
    { '0.0.0.0': '127.0.0.1', '::': '[::1]' }[address] ?? (isIPv6(address) ? `[${address}]` : address)
  try {
    const answer = await fetch(`http://${host}:${port}/function/faasdock-doctor`, {
      signal: AbortSignal.timeout(1000),
    })
    await answer.body?.cancel()
    return answer.headers.get('x-openfaas-internal') === 'faasdock-gateway'
  } catch {
    return false
  }
}

function tryToListen(port: number, address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen(port, address, () => server.close(() => resolve(undefined)))
  })
}

async function nearestExisting(path: string): Promise<string> {
  const present = await stat(path).then(
    () => true,
    () => false,
  )
  return present || dirname(path) === path ? path : nearestExisting(dirname(path))
}
