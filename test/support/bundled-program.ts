import { cp, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundle } from '../../scripts/bootstrap/bundle.mjs'

const ROOT = new URL('../../', import.meta.url).pathname

/** The program as users have it, compiled from what is here now, in a folder of its own. */
export async function bundleProgram(): Promise<
  { readonly folder: string; readonly bin: string } & AsyncDisposable
> {
  const folder = await mkdtemp(join(tmpdir(), 'faasdock-program-'))
  await mkdir(join(folder, 'package'))
  for (const name of ['bin', 'package.json'])
    await cp(join(ROOT, name), join(folder, 'package', name), { recursive: true })
  for (const name of ['node_modules', 'templates'])
    await symlink(join(ROOT, name), join(folder, 'package', name))
  await bundle(ROOT, join(folder, 'package/dist'))
  return {
    folder,
    bin: join(folder, 'package/bin/faasdock.js'),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}
