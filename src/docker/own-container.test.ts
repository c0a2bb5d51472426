import { describe, expect, test } from 'vitest'
import { ownContainerIds } from './own-container.ts'

const OWN = 'a1'.repeat(32)
const OTHER = 'b2'.repeat(32)

describe('the container that this process runs in', () => {
  test('is told by the files that the engine mounts into it', () => {
    const mounts = [
      '812 800 0:62 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/x',
      `830 812 8:1 /var/lib/docker/containers/${OWN}/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda1 rw`,
      `831 812 8:1 /var/lib/docker/containers/${OWN}/hostname /etc/hostname rw - ext4 /dev/sda1 rw`,
    ].join('\n')
    expect(ownContainerIds(mounts, 'gateway')).toEqual([OWN])
  })

  test('is none of those that the host of an engine has mounts of', () => {
    const mounts = `90 25 0:45 / /var/lib/docker/containers/${OTHER}/mounts/shm rw - tmpfs shm rw`
    expect(ownContainerIds(mounts, 'laptop')).toEqual([])
  })

  test('may be told by a host name that is the beginning of an id', () => {
    expect(ownContainerIds('', OWN.slice(0, 12))).toEqual([OWN.slice(0, 12)])
  })
})
