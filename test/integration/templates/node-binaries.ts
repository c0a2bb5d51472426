import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { dockerAvailable } from '../../support/docker.ts'
import { docker, labelFlags } from './images.ts'

/** Every Node that the template offers. */
export const majors = [12, 14, 16, 18, 20, 22, 24] as const

export interface NodeBinaries extends AsyncDisposable {
  /** Path of the program of each major version that runs on this machine. */
  readonly paths: ReadonlyMap<number, string>
}

/**
 * The program of each Node, out of its base image, so that tests can run it as a plain process. A version is left out
 * where its image is not here, or made for another C library than this machine's.
 */
export async function nodeBinaries(): Promise<NodeBinaries> {
  const folder = await mkdtemp(join(tmpdir(), 'faasdock-node-'))
  const paths = new Map<number, string>()
  for (const major of dockerAvailable ? majors : []) {
    const path = join(folder, `node${String(major)}`)
    try {
      const id = await docker('create', ...labelFlags, `node:${String(major)}-alpine`)
      await docker('cp', '--follow-link', `${id}:/usr/local/bin/node`, path)
      await docker('rm', id)
      await promisify(execFile)(path, ['--version'])
      paths.set(major, path)
    } catch {
      // Not on this machine: the tests that need it say so.
    }
  }
  return { paths, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}
