import { execFile } from 'node:child_process'
import { readFile, statfs } from 'node:fs/promises'
import { sep } from 'node:path'
import { promisify } from 'node:util'

/** A part of the file tree whose changes others may make, of which this machine's kernel does not hear. */
export interface SilentMount {
  /** `nfs4`, `9p`, `fuse.sshfs`. */
  readonly type: string
  /** Where it begins, when that is known. */
  readonly mountPoint?: string
}

/** Of `statfs`, from Linux' include/uapi/linux/magic.h and the file systems' own sources. */
const SILENT_MAGIC: ReadonlyMap<number, string> = new Map([
  [0x6969, 'nfs'],
  [0x517b, 'smb'],
  [0xff534d42, 'cifs'],
  [0xfe534d42, 'smb2'],
  [0x01021997, '9p'],
  [0x65735546, 'fuse'],
  [0x786f4256, 'vboxsf'],
  [0x7c7c6673, 'prl_fs'],
  [0xbacbacbc, 'vmhgfs'],
  [0x5346414f, 'afs'],
  [0x73757245, 'coda'],
  [0x564c, 'ncp'],
  [0x00c36400, 'ceph'],
  [0x0bd00bd0, 'lustre'],
  [0x01161970, 'gfs2'],
  [0x7461636f, 'ocfs2'],
])

/** As mount tables call them. `fuse.…` of any kind, but not `fuseblk`: a disk of this machine (NTFS, exFAT). */
const SILENT_TYPE =
  /^(nfs\d?|cifs|smb\w*|9p|drvfs|fuse|fuse\..+|virtiofs|fakeowner|grpcfuse|osxfs|vboxsf|prl_fs|vmhgfs|afpfs|afs|webdav|davfs|macfuse|osxfuse|ncpfs|ceph|lustre|gfs2|ocfs2|glusterfs|sshfs)$/

interface Mount {
  readonly point: string
  readonly type: string
}

/** What `path`, which exists, lies on, if that is something that may change without a word. */
export async function silentMountOf(path: string): Promise<SilentMount | undefined> {
  if (process.platform === 'win32') return path.startsWith('\\\\') ? { type: 'a network share' } : undefined
  const mount = mountOf(path, await readMounts())
  if (mount?.type === 'fuseblk') return undefined
  if (mount && SILENT_TYPE.test(mount.type)) return { type: mount.type, mountPoint: mount.point }
  if (process.platform !== 'linux') return undefined
  // Where the table cannot be read, or names the mount by another path.
  const { type } = await statfs(path)
  const known = SILENT_MAGIC.get(type >>> 0)
  return known === undefined || mount !== undefined ? undefined : { type: known }
}

/** The innermost of `mounts` that `path` is on; of several at one place the last: it hides the others. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  let found: Mount | undefined
  for (const mount of mounts) {
    const isOn = path === mount.point || path.startsWith(mount.point === sep ? sep : mount.point + sep)
    if (isOn && mount.point.length >= (found?.point.length ?? 0)) found = mount
  }
  return found
}

async function readMounts(): Promise<readonly Mount[]> {
  try {
    if (process.platform === 'linux') return parseMountInfo(await readFile('/proc/self/mountinfo', 'utf8'))
    return parseMountList((await promisify(execFile)('/sbin/mount', { timeout: 5000 })).stdout)
  } catch {
    return []
  }
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw` (man 5 proc); the 9p of WSL says what it shares. */
export function parseMountInfo(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const point = before.split(' ')[4]
    const type = after.split(' ')[0]
    return point && type ? [{ point: unescaped(point), type }] : []
  })
}

/** What `mount` of macOS says: `//me@server/share on /Volumes/share (smbfs, nodev, nosuid)`. */
export function parseMountList(text: string): readonly Mount[] {
  return text.split('\n').flatMap((line) => {
    const [, point, type] = / on (.+) \(([^,)]+)[^)]*\)$/.exec(line) ?? []
    return point && type ? [{ point, type }] : []
  })
}

/** Spaces, tabs, line ends and backslashes of a path stand there as octal numbers. */
function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_whole, octal: string) => String.fromCharCode(parseInt(octal, 8)))
}
