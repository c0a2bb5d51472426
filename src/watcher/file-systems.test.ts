import { expect, test } from 'vitest'
import { mountOf, parseMountInfo, parseMountList, silentMountOf } from './file-systems.ts'

const MOUNTINFO = `25 30 0:23 / /sys rw,nosuid shared:7 - sysfs sysfs rw
30 1 259:2 / / rw,relatime shared:1 - ext4 /dev/root rw
70 30 0:53 / /mnt/c rw,noatime - 9p C:\\134 rw,aname=drvfs;path=C:\\;uid=1000
71 30 0:54 / /mnt/team\\040share rw - nfs4 nas:/team rw
72 71 0:55 / /mnt/team\\040share/local rw - ext4 /dev/sdb1 rw
73 30 8:1 / /media/usb rw - fuseblk /dev/sdc1 rw
74 30 0:56 / /home/me/remote rw - fuse.sshfs me@host: rw
75 30 0:57 / /net rw - autofs auto.net rw
76 75 0:58 / /net rw - cifs //host/net rw
`

test.each([
  ['/home/me/project', 'ext4'],
  ['/mnt/c/Users/me/project', '9p'],
  ['/mnt/cd', 'ext4'],
  ['/mnt/team share/fn', 'nfs4'],
  ['/mnt/team share/local/fn', 'ext4'],
  ['/media/usb', 'fuseblk'],
  ['/home/me/remote/fn', 'fuse.sshfs'],
  ['/net/fn', 'cifs'],
  ['/', 'ext4'],
])('%s is on %s, by the mount table of Linux', (path, type) => {
  expect(mountOf(path, parseMountInfo(MOUNTINFO))?.type).toBe(type)
})

test('the list of macOS is read, too', () => {
  const mounts = parseMountList(
    '/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n' +
      '//me@nas/share on /Volumes/my share (smbfs, nodev, nosuid, mounted by me)\n',
  )
  expect(mountOf('/Volumes/my share/fn', mounts)).toEqual({ point: '/Volumes/my share', type: 'smbfs' })
  expect(mountOf('/Users/me', mounts)?.type).toBe('apfs')
})

test('a disk of this machine is not silent', async () => {
  expect(await silentMountOf(import.meta.dirname)).toBeUndefined()
})
