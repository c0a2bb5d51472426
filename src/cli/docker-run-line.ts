import { join } from 'node:path'
import type { FunctionSpec } from '../core/function.ts'
import { parseCpu, parseMemory } from '../core/quantity.ts'
import { shellWord } from './shell-word.ts'

/** Docker takes no smaller limit. Bytes. */
const LEAST_MEMORY = 6 * 2 ** 20

/** The docker command that runs a function alone, by hand: what `local-run --print` shows (contract 5.8). BAD_QUANTITY. */
export function dockerRunLine(spec: FunctionSpec, port: number, root: string): string {
  const { name, namespace, image, envVars = {}, limits = {}, secrets = [], envProcess } = spec
  const words = [
    'docker',
    'run',
    '--name',
    name,
    '--rm',
    '-i',
    `-p=${port}:8080`,
    `-e=OPENFAAS_NAME=${name}`,
    `-e=OPENFAAS_NAMESPACE=${namespace}`,
    '-e=jwt_auth_local=true',
    ...Object.entries(envVars).map(([key, value]) => `-e=${key}=${value}`),
    ...(spec.readOnlyRootFilesystem ? ['--read-only', '--tmpfs=/tmp'] : []),
    ...(limits.memory === undefined
      ? []
      : [`--memory-reservation=${Math.max(parseMemory(limits.memory), LEAST_MEMORY)}`]),
    ...(limits.cpu === undefined ? [] : [`--cpus=${parseCpu(limits.cpu)}`]),
    ...(secrets.length === 0 ? [] : [`--volume=${join(root, '.secrets')}:/var/openfaas/secrets`]),
    ...(envProcess === undefined ? [] : [`-e=fprocess=${envProcess}`]),
    image,
  ]
  return words.map(shellWord).join(' ')
}
