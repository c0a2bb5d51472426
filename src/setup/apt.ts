import { run } from './run.ts'
import type { Announce } from './announce.ts'

/** Installs Debian packages without asking and without recommended ones. Announces it first. Needs root. */
export async function installPackages(packages: readonly string[], announce: Announce): Promise<void> {
  announce(`Installing ${packages.join(', ')} with apt-get`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  // Another apt (a nightly upgrade) may hold the lock for a while.
  const options = ['-o', 'DPkg::Lock::Timeout=120', '-y', '-q']
  await run('apt-get', [...options, 'update'], { env })
  await run('apt-get', [...options, 'install', '--no-install-recommends', ...packages], { env })
}
