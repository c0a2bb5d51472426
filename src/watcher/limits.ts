import { readFile } from 'node:fs/promises'

/** What one user may have of the kernel's file events. */
interface Limit {
  readonly name: string
  /** The same, of a container or whatever else has its own users; in force when it is lower. */
  readonly inner: string
  readonly what: string
}

/** By the error that a reached limit gives (man 2 inotify_init, inotify_add_watch). */
const LIMITS: Readonly<Record<string, Limit>> = {
  ENOSPC: {
    name: 'fs.inotify.max_user_watches',
    inner: 'user.max_inotify_watches',
    what: 'file watches',
  },
  EMFILE: {
    name: 'fs.inotify.max_user_instances',
    inner: 'user.max_inotify_instances',
    what: 'programs that watch files',
  },
}

/** What editors ask for, too: half a million watches are at most some 500 MB of the kernel's, when all are used. */
const COMFORTABLE: Readonly<Record<string, number>> = {
  'fs.inotify.max_user_watches': 524_288,
  'fs.inotify.max_user_instances': 1024,
}

/** Whether a folder cannot be watched because of a limit of the system. */
export function isLimit(code: string | undefined): boolean {
  return code !== undefined && code in LIMITS
}

/** A sentence for people: which limit is reached, how much is needed, and the line that raises it. */
export async function limitText(code: string, needed: number): Promise<string> {
  const limit = LIMITS[code]
  if (!limit || process.platform !== 'linux')
    return 'the system lets this program watch no more folders; close programs that watch files'
  const [outer, inner] = [await readSetting(limit.name), await readSetting(limit.inner)]
  const isInner = inner !== undefined && inner < (outer ?? 0)
  const [name, value] = isInner ? [limit.inner, inner] : [limit.name, outer]
  const roomy = Math.max(COMFORTABLE[limit.name] ?? 0, 2 * (value ?? 0), 2 * needed)
  const is = value === undefined ? '' : ` (${name} is ${value})`
  const others =
    code === 'EMFILE' ? '' : `; faasdock needs ${needed}, besides what your editor and others take`
  return (
    `the limit of ${limit.what} of one user is reached${is}${others}. ` +
    `Raise it: sudo sysctl ${name}=${roomy} ` +
    `(for good: echo ${name}=${roomy} | sudo tee /etc/sysctl.d/60-faasdock.conf); ` +
    'in a container, on the machine that runs it'
  )
}

async function readSetting(name: string): Promise<number | undefined> {
  const text = await readFile(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').catch(() => '')
  return /^\d+\s*$/.test(text) ? Number(text) : undefined
}
