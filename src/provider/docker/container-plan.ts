import { randomBytes } from 'node:crypto'
import type { FunctionRef, FunctionSpec, Revision } from '../../core/function.ts'
import { formatRef } from '../../core/function.ts'
import { parseCpu, parseMemory } from '../../core/quantity.ts'
import type { ContainerPlan } from '../../docker/containers.ts'
import { LABEL, OWN_LABELS } from '../../docker/labels.ts'
import type { CodeOverlay } from '../code-change.ts'
import type { Beginning } from '../replica.ts'
import { HASH_VARIABLE, TOKEN_VARIABLE } from './runtime-route.ts'

/** The names functions use for the gateway (contract 10). */
export const GATEWAY_NAMES = ['gateway', 'gateway.openfaas', 'gateway.openfaas.svc.cluster.local']
/** The port functions use for the gateway, and the one they themselves answer on. */
export const FUNCTION_PORT = 8080

/**
 * A watchdog gives up on a log line longer than its buffer and may block the function for good (pitfall 7).
 * Not -1: versions before 0.10.5 crash on it.
 */
const LOG_BUFFER_BYTES = 4 * 2 ** 20

export interface PlanContext {
  readonly instance: string
  readonly network: string
  /** Where the gateway's names lead when that is an address; undefined when a relay on the network bears the names. */
  readonly gatewayAddress: string | undefined
  readonly route: string
  readonly publish: boolean
  readonly logDriver: 'local' | 'json-file'
  /** Puts the secrets of a function into a container. */
  readonly fillSecrets: (spec: FunctionSpec, container: string) => Promise<void>
  /**
   * Puts code into a container that has not been started. `like`: its image's id, or what that image has in common with
   * all that differ from it by their code only.
   */
  readonly putCode: (overlay: CodeOverlay, container: string, like?: string) => Promise<void>
  /** What shows the runtime of a function that it is asked by us. */
  readonly tokenOf: (ref: FunctionRef) => string
}

/** Where a function finds its secrets (contract 8). */
export const SECRETS_FOLDER = '/var/openfaas/secrets'

/** What a replica of `revision` is as a container. Quantities were checked when the spec came in. */
export function planContainer(
  revision: Revision,
  context: PlanContext,
  imageEnv: ReadonlyMap<string, string>,
  overlay?: CodeOverlay,
): ContainerPlan {
  const { spec } = revision
  const began = beginningOf(revision, overlay)
  const { instance, network, gatewayAddress } = context
  const { limits, requests, secrets = [] } = spec
  const hasSecrets = secrets.length > 0
  return {
    name: `faasdock-${spec.name.slice(0, 30)}-${revision.id}-${randomBytes(3).toString('hex')}`,
    hostname: spec.name,
    image: revision.imageId ?? spec.image,
    env: functionEnv(spec, imageEnv, began?.swaps === true ? codeEnv(began, context.tokenOf(spec)) : {}),
    labels: {
      // The user's, for tools that look at containers; ours are nobody else's to give.
      ...Object.fromEntries(Object.entries(spec.labels).filter(([name]) => !OWN_LABELS.has(name))),
      [LABEL.instance]: instance,
      [LABEL.role]: 'function',
      [LABEL.namespace]: spec.namespace,
      [LABEL.function]: spec.name,
      [LABEL.revision]: revision.id,
      [LABEL.route]: context.route,
      ...(hasSecrets && { [LABEL.secrets]: secrets.join(',') }),
      ...(began && { [LABEL.code]: `${began.swaps ? 'swap' : 'files'}:${began.hash}` }),
    },
    network,
    aliases: [spec.name, formatRef(spec)],
    hosts: [
      ...(gatewayAddress === undefined ? [] : GATEWAY_NAMES.map((name) => `${name}:${gatewayAddress}`)),
      'host.docker.internal:host-gateway',
    ],
    ...(hasSecrets && {
      folder: {
        path: SECRETS_FOLDER,
        labels: { [LABEL.instance]: instance, [LABEL.role]: 'secrets' },
        fill: (container: string) => context.fillSecrets(spec, container),
      },
    }),
    ...(overlay && {
      overlay: {
        path: overlay.folder,
        labels: { [LABEL.instance]: instance, [LABEL.role]: 'code' },
        fill: (container: string) =>
          context.putCode(overlay, container, revision.code?.frame ?? revision.imageId),
      },
    }),
    readOnlyRoot: spec.readOnlyRootFilesystem ?? false,
    logDriver: context.logDriver,
    ...(limits?.memory !== undefined && { memoryBytes: parseMemory(limits.memory) }),
    ...(limits?.cpu !== undefined && { cores: parseCpu(limits.cpu) }),
    ...(requests?.memory !== undefined && { memoryReservationBytes: parseMemory(requests.memory) }),
    ...(requests?.cpu !== undefined && { coresReserved: parseCpu(requests.cpu) }),
    ...(context.publish && { publish: FUNCTION_PORT }),
  }
}

/** What a replica of a revision begins with; undefined for one that has no code of its own. */
export function beginningOf({ code }: Revision, overlay?: CodeOverlay): Required<Beginning> | undefined {
  return code && { swaps: code.wanted.way === 'swap', hash: overlay?.hash ?? code.inImage }
}

/** Reads the label that says what a container began with. */
export function readBeginning(label: string | undefined): Beginning | undefined {
  const [way, hash] = label?.split(':') ?? []
  if (way === 'swap') return { swaps: true }
  return way === 'files' && hash !== undefined ? { swaps: false, hash } : undefined
}

function codeEnv({ hash }: Required<Beginning>, token: string): Readonly<Record<string, string>> {
  return { [TOKEN_VARIABLE]: token, [HASH_VARIABLE]: hash }
}

/**
 * The environment of contract 6.4: ours first, so that what the user set wins, in the image or in the spec. But for
 * `platform`: what is between us and a runtime is nobody else's.
 */
function functionEnv(
  spec: FunctionSpec,
  imageEnv: ReadonlyMap<string, string>,
  platform: Readonly<Record<string, string>>,
): string[] {
  const env = new Map<string, string>([
    ['OPENFAAS_NAME', spec.name],
    ['OPENFAAS_NAMESPACE', spec.namespace],
    ...(imageEnv.has('log_buffer_size') ? [] : [['log_buffer_size', String(LOG_BUFFER_BYTES)] as const]),
    ...Object.entries(spec.envVars ?? {}),
  ])
  if (spec.envProcess !== undefined) env.set('fprocess', spec.envProcess)
  for (const [name, value] of Object.entries(platform)) env.set(name, value)
  return [...env].map(([name, value]) => `${name}=${value}`)
}
