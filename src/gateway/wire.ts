import { z } from 'zod'
import { FaasError } from '../core/errors.ts'
import { DEFAULT_NAMESPACE, RESOURCES } from '../core/function.ts'
import type { FunctionSpec, FunctionStatus, Resources } from '../core/function.ts'
import type { LogLine, Usage } from '../core/provider.ts'
import type { Namespace } from '../core/registry.ts'
import type { Alert } from '../engine/alerts.ts'

// OpenFaaS JSON ⇄ core types. Only here may one thing be called service, functionName and serviceName.

const text = z.string()
/** Clients send null, {} and [] for "not given"; all mean absent (contract 0, item 8). */
const textMap = z.record(text, text).nullish()
const textList = z.array(text).nullish()
/** Names that we do not know are passed over. */
const resources = z.object(Object.fromEntries(RESOURCES.map((name) => [name, text.nullish()]))).nullish()

const deployment = z.object({
  service: text.min(1),
  image: text.min(1),
  namespace: text.nullish(),
  envProcess: text.nullish(),
  envVars: textMap,
  constraints: textList,
  secrets: textList,
  labels: textMap,
  annotations: textMap,
  limits: resources,
  requests: resources,
  readOnlyRootFilesystem: z.boolean().nullish(),
})

/** Body of POST and PUT /system/functions → spec. BAD_REQUEST names the field. */
export function readDeployment(body: unknown): FunctionSpec {
  const given = parse(deployment, body)
  const { envProcess, envVars, constraints, secrets, readOnlyRootFilesystem } = given
  const limits = readResources(given.limits)
  const requests = readResources(given.requests)
  return {
    name: given.service,
    namespace: given.namespace || DEFAULT_NAMESPACE,
    image: given.image,
    labels: given.labels ?? {},
    annotations: given.annotations ?? {},
    ...(envProcess && { envProcess }),
    ...(envVars && Object.keys(envVars).length > 0 && { envVars }),
    ...(constraints && constraints.length > 0 && { constraints }),
    ...(secrets && secrets.length > 0 && { secrets }),
    ...(limits && { limits }),
    ...(requests && { requests }),
    ...(readOnlyRootFilesystem && { readOnlyRootFilesystem }),
  }
}

function readResources(given: z.infer<typeof resources>): Resources | undefined {
  const named = Object.entries(given ?? {}).filter(([, amount]) => amount)
  return named.length === 0 ? undefined : Object.fromEntries(named)
}

const deletion = z.object({ functionName: text.min(1), namespace: text.nullish() })

/** Body of DELETE /system/functions. */
export function readDeletion(body: unknown): { name: string; namespace: string | undefined } {
  const { functionName, namespace } = parse(deletion, body)
  return { name: functionName, namespace: namespace || undefined }
}

const scaling = z.object({
  serviceName: text.nullish(),
  replicas: z.number().int().min(0),
  namespace: text.nullish(),
})

/** Body of POST /system/scale-function. */
export function readScaling(body: unknown): { replicas: number; namespace: string | undefined } {
  const { replicas, namespace } = parse(scaling, body)
  return { replicas, namespace: namespace || undefined }
}

const secret = z.object({
  name: text.min(1),
  namespace: text.nullish(),
  value: text.nullish(),
  // Wrapped as the base64 program does it is base64 to Go's decoder.
  rawValue: text
    .transform((given) => given.replace(/[\r\n]/g, ''))
    .pipe(z.base64())
    .nullish(),
})

/** Body of DELETE /system/secrets, and what the others have in common with it. */
export function readSecretName(body: unknown): { name: string; namespace: string | undefined } {
  const { name, namespace } = parse(secret, body)
  return { name, namespace: namespace || undefined }
}

/** Body of POST and PUT /system/secrets. `rawValue` wins, byte for byte (contract 0, item 20). */
export function readSecret(body: unknown): {
  name: string
  namespace: string | undefined
  value: Uint8Array
} {
  const { name, namespace, value, rawValue } = parse(secret, body)
  // A mistyped field must not empty a secret that functions use.
  if (value == null && rawValue == null) throw noValue(name)
  const bytes = rawValue ? Buffer.from(rawValue, 'base64') : Buffer.from(value ?? '')
  return { name, namespace: namespace || undefined, value: bytes }
}

function noValue(name: string): FaasError {
  return new FaasError('BAD_REQUEST', {
    message: `the secret ${JSON.stringify(name)} comes with neither "value" nor "rawValue"`,
    remedy: 'Send the value as text in "value", or its bytes as base64 in "rawValue".',
  })
}

const namespaceBody = z.object({ name: text.min(1), labels: textMap, annotations: textMap })

/** Body of /system/namespace. */
export function readNamespace(body: unknown): Namespace {
  const { name, labels, annotations } = parse(namespaceBody, body)
  return { name, labels: labels ?? {}, annotations: annotations ?? {} }
}

const alerts = z.object({
  alerts: z
    .array(
      z.object({
        status: text.nullish(),
        labels: z.object({ function_name: text.nullish() }).nullish(),
      }),
    )
    .nullish(),
})

/** Body of /system/alert, as AlertManager sends it; undefined when it is none (contract 4.2). */
export function readAlerts(body: unknown): readonly Alert[] | undefined {
  const result = alerts.safeParse(body)
  return (
    result.data?.alerts?.map(({ status, labels }) => ({
      isFiring: status === 'firing',
      functionName: labels?.function_name ?? '',
    })) ?? (result.success ? [] : undefined)
  )
}

/** A function as GET shows it (contract 1.3). `verbose` adds what only faasdock knows. */
export function writeStatus(
  status: FunctionStatus,
  verbose: boolean,
  usage?: Usage,
): Record<string, unknown> {
  const { spec } = status
  return {
    ...spec,
    // Unless the provider is called faasd, clients look for it (contract 0, item 11).
    labels: { ...spec.labels, faas_function: spec.name },
    invocationCount: status.invocationCount,
    replicas: status.replicas,
    availableReplicas: status.availableReplicas,
    createdAt: status.createdAt,
    ...(usage && { usage: { cpu: usage.cpuMillis, totalMemoryBytes: usage.memoryBytes } }),
    ...(verbose && { state: status.state, revision: status.revision, problem: status.problem }),
  }
}

/** One line of /system/logs (contract 9.1). */
export function writeLogLine(line: LogLine): string {
  const { ref, instance, timestamp, text: words } = line
  return `${JSON.stringify({ name: ref.name, namespace: ref.namespace, instance, timestamp, text: words })}\n`
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  const wrong = result.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`)
  throw new FaasError('BAD_REQUEST', {
    message: `validation failed: ${wrong.join('; ')}`,
    remedy: 'Correct the named fields of the JSON body.',
  })
}
