import { existsSync, readFileSync } from 'node:fs'

/** What this machine is, as far as advice about an engine depends on it. */
export interface HostFacts {
  readonly kind: 'debian' | 'linux' | 'wsl' | 'macos' | 'windows'
  readonly root: boolean
  /** An engine is installed, whether or not it runs. */
  readonly hasDockerd: boolean
  readonly systemd: boolean
}

/** Looks at the machine. Reads a few small files; only the paths that lead to no engine call it. */
export function hostFacts(platform: NodeJS.Platform = process.platform): HostFacts {
  return {
    kind: hostKind(platform),
    root: process.getuid?.() === 0,
    hasDockerd: ['/usr/bin/dockerd', '/usr/local/bin/dockerd', '/usr/sbin/dockerd'].some((path) =>
      existsSync(path),
    ),
    // What sd_booted(3) looks at.
    systemd: existsSync('/run/systemd/system'),
  }
}

/** True for Debian, Ubuntu and what says it is like them. */
export function isDebianLike(osRelease: string): boolean {
  const value = (key: string): string => new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(osRelease)?.[1] ?? ''
  return [value('ID'), ...value('ID_LIKE').split(' ')].some((id) => id === 'debian' || id === 'ubuntu')
}

function hostKind(platform: NodeJS.Platform): HostFacts['kind'] {
  if (platform === 'darwin') return 'macos'
  if (platform === 'win32') return 'windows'
  if (/microsoft/i.test(read('/proc/version'))) return 'wsl'
  return isDebianLike(read('/etc/os-release')) ? 'debian' : 'linux'
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
