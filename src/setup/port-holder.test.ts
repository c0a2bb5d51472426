import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makeFolder } from '../../test/support/folder.ts'
import { portHolder } from './port-holder.ts'

const line = (address: string, inode: number): string =>
  `   0: ${address}:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 ${inode} 1 0\n`

/** Who holds it in a /proc where the socket 700 is process 7's and 800 is process 8's. */
async function holder(address: string, tables: { tcp?: string; tcp6?: string }, port = 8080) {
  await using proc = await makeFolder({
    'net/tcp': `  sl  local_address\n${tables.tcp ?? ''}`,
    'net/tcp6': `  sl  local_address\n${tables.tcp6 ?? ''}`,
    '7/cmdline': 'seven\0serve\0',
    '7/fd/.keep': '',
    '8/cmdline': 'eight\0',
    '8/fd/.keep': '',
  })
  await symlink('socket:[700]', join(proc.path, '7/fd/3'))
  await symlink('socket:[800]', join(proc.path, '8/fd/3'))
  return (await portHolder(port, address, proc.path))?.pid
}

const both = { tcp: line('010012AC', 800) + line('0100007F', 700) }

test('is who listens on that very address, and nobody who listens on another', async () => {
  expect(await holder('127.0.0.1', both)).toBe(7)
  expect(await holder('172.18.0.1', both)).toBe(8)
  expect(await holder('127.0.0.1', { tcp: line('010012AC', 800) })).toBeUndefined()
  expect(await holder('127.0.0.1', both, 8081)).toBeUndefined()
})

test('is who listens on all addresses, whichever is wanted, and anybody where all are wanted', async () => {
  expect(await holder('127.0.0.1', { tcp: line('00000000', 800) })).toBe(8)
  expect(await holder('127.0.0.1', { tcp6: line('0'.repeat(32), 800) })).toBe(8)
  expect(await holder('0.0.0.0', { tcp: line('010012AC', 800) })).toBe(8)
})

test('is found by IPv6 too, and by IPv4 in a socket of IPv6', async () => {
  expect(await holder('::1', { tcp6: line('00000000000000000000000001000000', 700) })).toBe(7)
  expect(await holder('::1', both)).toBeUndefined()
  expect(await holder('127.0.0.1', { tcp6: line('0000000000000000FFFF00000100007F', 700) })).toBe(7)
})
