import type { Option } from 'commander'
import { FaasError } from '../core/errors.ts'
import type { FunctionSpec, Resources } from '../core/function.ts'
import { flag, listFlag } from './command.ts'
import { readKeyValues } from './key-values.ts'

/** Flags that change what a stack file says about its functions. */
export interface SpecFlags {
  readonly env?: readonly string[]
  readonly label?: readonly string[]
  readonly annotation?: readonly string[]
  readonly secret?: readonly string[]
  readonly constraint?: readonly string[]
  readonly readonly?: boolean
  readonly fprocess?: string
  readonly cpuLimit?: string
  readonly memoryLimit?: string
  readonly cpuRequest?: string
  readonly memoryRequest?: string
}

export function specOptions(): Option[] {
  return [
    listFlag('-e, --env <key=value>', 'set an environment variable'),
    listFlag('-l, --label <key=value>', 'set a label'),
    listFlag('--annotation <key=value>', 'set an annotation'),
    listFlag('--secret <name>', 'give access to a secret'),
    listFlag('--constraint <constraint>', 'add a placement constraint'),
    flag('--readonly', 'run with a read-only root file system'),
    flag('--fprocess <command>', 'the process that the watchdog starts'),
    ...resourceOptions(),
  ]
}

export function resourceOptions(): Option[] {
  return [
    flag('--cpu-limit <quantity>', 'most CPU that it may use, e.g. 100m'),
    flag('--memory-limit <quantity>', 'most memory that it may use, e.g. 128Mi'),
    flag('--cpu-request <quantity>', 'CPU that is kept for it'),
    flag('--memory-request <quantity>', 'memory that is kept for it'),
  ]
}

/** `spec` with what the flags say on top (contract 5.1: the flag wins). BAD_USAGE for a broken KEY=VALUE. */
export function overrideSpec(spec: FunctionSpec, flags: SpecFlags): FunctionSpec {
  const envVars = { ...spec.envVars, ...readKeyValues(flags.env, '--env') }
  const secrets = unique([...(spec.secrets ?? []), ...(flags.secret ?? [])])
  const constraints = unique([...(spec.constraints ?? []), ...(flags.constraint ?? [])])
  const { limits, requests } = resourcesOf(flags)
  return {
    ...spec,
    labels: { ...spec.labels, ...readKeyValues(flags.label, '--label') },
    annotations: { ...spec.annotations, ...readKeyValues(flags.annotation, '--annotation') },
    // Absent, never empty, when nobody gave any (contract 0, item 8).
    ...(Object.keys(envVars).length === 0 ? {} : { envVars }),
    ...(secrets.length === 0 ? {} : { secrets }),
    ...(constraints.length === 0 ? {} : { constraints }),
    ...(flags.readonly === true ? { readOnlyRootFilesystem: true } : {}),
    ...(flags.fprocess === undefined ? {} : { envProcess: flags.fprocess }),
    ...(limits ? { limits: { ...spec.limits, ...limits } } : {}),
    ...(requests ? { requests: { ...spec.requests, ...requests } } : {}),
  }
}

/** The resources that flags name; absent where they name none. */
export function resourcesOf(flags: SpecFlags): { limits?: Resources; requests?: Resources } {
  const limits = resources(flags.cpuLimit, flags.memoryLimit)
  const requests = resources(flags.cpuRequest, flags.memoryRequest)
  return { ...(limits ? { limits } : {}), ...(requests ? { requests } : {}) }
}

function resources(cpu: string | undefined, memory: string | undefined): Resources | undefined {
  if (cpu === undefined && memory === undefined) return undefined
  return { ...(memory === undefined ? {} : { memory }), ...(cpu === undefined ? {} : { cpu }) }
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)]
}

/** Throws BAD_USAGE unless at most one of the switches is on. */
export function refuseTogether(switches: Readonly<Record<string, boolean | undefined>>): void {
  const on = Object.keys(switches).filter((name) => switches[name])
  if (on.length < 2) return
  throw new FaasError('BAD_USAGE', {
    message: `${on.join(' and ')} exclude each other`,
    remedy: `Give one of them.`,
  })
}
