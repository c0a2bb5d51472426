import type { FunctionSpec } from '../core/function.ts'

/** The APIs of Kubernetes that `generate` writes for. */
export const KUBERNETES_APIS = ['openfaas.com/v1', 'serving.knative.dev/v1'] as const
export type KubernetesApi = (typeof KUBERNETES_APIS)[number]

/** The object of Kubernetes that says this function: OpenFaaS' own kind, or a service of Knative. */
export function kubernetesObject(spec: FunctionSpec, api: KubernetesApi): Record<string, unknown> {
  return api === 'openfaas.com/v1' ? openfaasFunction(spec) : knativeService(spec)
}

function openfaasFunction(spec: FunctionSpec): Record<string, unknown> {
  const { name, namespace, image, envVars, labels, annotations, limits, requests } = spec
  return {
    apiVersion: 'openfaas.com/v1',
    kind: 'Function',
    metadata: { name, namespace },
    spec: given({
      name,
      image,
      environment: sorted(envVars),
      labels: sorted(labels),
      annotations: sorted(annotations),
      limits,
      requests,
      constraints: spec.constraints,
      secrets: spec.secrets,
      readOnlyRootFilesystem: spec.readOnlyRootFilesystem === true ? true : undefined,
    }),
  }
}

function knativeService(spec: FunctionSpec): Record<string, unknown> {
  const { name, namespace, image, envVars, annotations, secrets = [] } = spec
  const container = given({
    image,
    env: Object.entries(sorted(envVars) ?? {}).map(([key, value]) => ({ name: key, value })),
    volumeMounts: secrets.map((secret) => ({
      name: secret,
      mountPath: `/var/openfaas/secrets/${secret}`,
      readOnly: true,
    })),
  })
  const volumes = secrets.map((secret) => ({ name: secret, secret: { secretName: secret } }))
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: given({ name, namespace, annotations: sorted(annotations) }),
    spec: { template: { spec: given({ containers: [container], volumes }) } },
  }
}

/** Without what nobody gave: undefined, and empty lists and records. */
function given(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(record).filter(
      ([, value]) =>
        value !== undefined && !(typeof value === 'object' && value && Object.keys(value).length === 0),
    ),
  )
}

function sorted(record: Readonly<Record<string, string>> | undefined): Record<string, string> | undefined {
  return record && Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
}
