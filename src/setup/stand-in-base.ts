import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { EngineAddress } from '../docker/engine-address.ts'
import { hasImage, importImage } from '../docker/engine-images.ts'
import { installPackages } from './apt.ts'
import { caBundle } from './ca-bundle.ts'
import { run } from './run.ts'
import type { Announce } from './announce.ts'

/** The Debian image under every stand-in: one layer that all of them share. */
export const STAND_IN_BASE = 'faasdock/stand-in-debian:bookworm'

/** Says what a stand-in really is. */
export const STAND_IN_LABEL = 'com.faasdock.stand-in'

const SUITE = 'bookworm'
const BUNDLE_PATH = '/etc/ssl/certs/ca-certificates.crt'

/** Below /var/tmp, because /tmp is often mounted without devices, which debootstrap needs. */
const WORK_ROOT = '/var/tmp'

/** Makes the Debian base on the engine with debootstrap, unless it is there. Needs root on Debian or Ubuntu. */
export async function ensureStandInBase(
  engine: EngineAddress,
  env: NodeJS.ProcessEnv,
  announce: Announce,
): Promise<void> {
  if (await hasImage(engine, STAND_IN_BASE)) return
  if (!existsSync('/usr/sbin/debootstrap')) {
    await installPackages(['debootstrap', 'debian-archive-keyring'], announce)
  }
  announce('Making a Debian base image with debootstrap (once, about 45 s)')
  const folder = await mkdtemp(join(WORK_ROOT, 'faasdock-base-'))
  try {
    await debootstrap(folder)
    const bundle = await caBundle(env)
    if (bundle !== undefined) await write(join(folder, BUNDLE_PATH), bundle)
    await slim(folder)
    await importFolder(engine, folder, bundle !== undefined)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function debootstrap(folder: string): Promise<void> {
  const include = 'ca-certificates,libstdc++6,libatomic1'
  await run('/usr/sbin/debootstrap', ['--variant=minbase', `--include=${include}`, SUITE, folder], {
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' },
  })
}

/** What Debian's own slim image leaves out, and what keeps packages from starting services in a build. */
async function slim(folder: string): Promise<void> {
  for (const path of ['var/cache/apt', 'var/lib/apt/lists', 'var/log', 'usr/share/locale', 'usr/share/man']) {
    await rm(join(folder, path), { recursive: true, force: true })
    await mkdir(join(folder, path), { recursive: true })
  }
  await mkdir(join(folder, 'var/lib/apt/lists/partial'), { recursive: true })
  await mkdir(join(folder, 'var/cache/apt/archives/partial'), { recursive: true })
  await run('find', [join(folder, 'usr/share/doc'), '-type', 'f', '!', '-name', 'copyright', '-delete'])
  await write(join(folder, 'usr/sbin/policy-rc.d'), '#!/bin/sh\nexit 101\n')
  await chmod(join(folder, 'usr/sbin/policy-rc.d'), 0o755)
  await write(
    join(folder, 'etc/apt/apt.conf.d/90-image'),
    'APT::Install-Recommends "false";\nAcquire::Languages "none";\nDir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n',
  )
}

async function importFolder(engine: EngineAddress, folder: string, hasBundle: boolean): Promise<void> {
  const tar = spawn('tar', ['-C', folder, '--numeric-owner', '--exclude=./dev/*', '-c', '.'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const changes = [
    'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'CMD ["bash"]',
    `LABEL ${STAND_IN_LABEL}="Debian ${SUITE} (debootstrap, minbase)"`,
  ]
  if (hasBundle) {
    for (const name of ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'PIP_CERT', 'REQUESTS_CA_BUNDLE']) {
      changes.push(`ENV ${name}=${BUNDLE_PATH}`)
    }
  }
  await importImage(engine, tar.stdout, { image: STAND_IN_BASE, changes })
}

async function write(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
}
