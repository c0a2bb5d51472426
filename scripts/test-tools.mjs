// Real programs that some tests talk to. Taken from Debian's packages into the cache of node_modules without being
// installed, so that no service of theirs ever starts on this machine.
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { announce, hasProgram, installPackages, mayInstallPackages, runTool } from './bootstrap/run-tool.mjs'

/** Program → Debian package. */
const TOOLS = {
  prometheus: 'prometheus',
  'prometheus-alertmanager': 'prometheus-alertmanager',
  'docker-registry': 'docker-registry',
}

/** Where tests find what was fetched (test/support/tools.ts): the folder that packages call `/`. */
export const toolsFolder = (root) => join(root, 'node_modules/.cache/faasdock-tools')

/**
 * A Python program with its packages, which cannot be run from a folder: installed, where that is allowed. It starts no
 * service.
 */
export async function provideCompose() {
  if (hasProgram('docker-compose')) return
  const { ok } = await runTool('docker', ['compose', 'version'])
  if (ok) return
  const forbidden = process.env.FAASDOCK_INSTALL_ENGINE === '0'
  try {
    if (!forbidden && mayInstallPackages()) return await installPackages(['docker-compose'])
    announce('!!! not on this machine: docker-compose; tests that use it are skipped')
  } catch (error) {
    announce(`!!! docker-compose cannot be installed; tests that use it are skipped: ${error.message}`)
  }
}

/** Fetches what is missing. What cannot be had is announced; the tests that need it say so themselves. */
export async function provideTools(root) {
  const folder = toolsFolder(root)
  const missing = Object.keys(TOOLS).filter(
    (name) => !hasProgram(name) && !existsSync(join(folder, 'usr/bin', name)),
  )
  if (missing.length === 0) return
  if (!mayInstallPackages()) {
    announce(`!!! not on this machine: ${missing.join(', ')}; tests that use them are skipped`)
    return
  }
  const packages = missing.map((name) => TOOLS[name])
  announce(`Fetching ${packages.join(', ')} with apt-get, without installing them`)
  const downloads = `${folder}.deb`
  rmSync(downloads, { recursive: true, force: true })
  mkdirSync(downloads, { recursive: true })
  await runTool('apt-get', ['-o', 'DPkg::Lock::Timeout=120', '-q', 'update'])
  for (const name of packages) {
    const own = join(downloads, name)
    mkdirSync(own)
    const { ok, output } = await runTool(
      'sh',
      ['-c', 'apt-get -q download "$1" && dpkg-deb -x ./*.deb root', 'sh', name],
      { cwd: own },
    )
    if (ok) await runTool('cp', ['-R', `${join(own, 'root')}/.`, ensured(folder)])
    else announce(`!!! ${name} cannot be fetched: ${output.trim().split('\n').at(-1)}`)
  }
  rmSync(downloads, { recursive: true, force: true })
  provideTemplates(folder)
}

/** Debian's Alertmanager has one path compiled in: without this file it does not start. */
function provideTemplates(folder) {
  const path = 'usr/share/prometheus/alertmanager'
  if (existsSync(join('/', path)) || !existsSync(join(folder, path))) return
  cpSync(join(folder, path), join('/', path), { recursive: true })
}

function ensured(folder) {
  mkdirSync(folder, { recursive: true })
  return folder
}
