import { resolve } from 'node:path'
import type { FunctionSource } from '../core/builder.ts'
import { DEFAULT_NAMESPACE } from '../core/function.ts'
import type { FunctionSpec, Resources } from '../core/function.ts'
import type { StackFunction } from '../core/stack.ts'
import { given, texts } from './given.ts'
import { isOn } from './schema.ts'
import type { FunctionFields } from './schema.ts'

/** What the functions of one file have in common. */
export interface StackContext {
  readonly root: string
  /** Wins over the file's. */
  readonly namespace: string | undefined
  readonly copy: readonly string[]
  /** What environment files say, by absolute path. */
  readonly environments: ReadonlyMap<string, Readonly<Record<string, string>>>
}

/** A function of a file without mistakes, in core's words. */
export function stackFunction(name: string, fields: FunctionFields, context: StackContext): StackFunction {
  return given({
    source: sourceOf(name, fields, context),
    spec: specOf(name, fields, context),
    platforms: fields.platforms || undefined,
  })
}

function sourceOf(
  name: string,
  fields: FunctionFields,
  { root, copy }: StackContext,
): FunctionSource | undefined {
  if (!fields.lang || !fields.handler || isOn(fields.skip_build)) return undefined
  const secrets = Object.entries(texts(fields.build_secrets) ?? {})
  return {
    name,
    lang: fields.lang,
    handler: resolve(root, fields.handler),
    image: fields.image,
    root,
    buildArgs: texts(fields.build_args) ?? {},
    buildOptions: fields.build_options ?? [],
    buildSecrets: Object.fromEntries(secrets.map(([id, file]) => [id, resolve(root, file)])),
    copy,
  }
}

function specOf(name: string, fields: FunctionFields, context: StackContext): FunctionSpec {
  const readOnly = fields.readonly_root_filesystem
  return given({
    name,
    namespace: context.namespace || fields.namespace || DEFAULT_NAMESPACE,
    image: fields.image,
    envProcess: fields.fprocess || undefined,
    envVars: environmentOf(fields, context),
    constraints: unlessEmpty(fields.constraints),
    secrets: unlessEmpty(fields.secrets),
    labels: texts(fields.labels) ?? {},
    annotations: texts(fields.annotations) ?? {},
    limits: resourcesOf(fields.limits),
    requests: resourcesOf(fields.requests),
    readOnlyRootFilesystem: typeof readOnly === 'string' ? isOn(readOnly) : undefined,
  })
}

/** `environment`, then the files in their order: the later wins. */
function environmentOf(
  fields: FunctionFields,
  { root, environments }: StackContext,
): Record<string, string> | undefined {
  const files = (fields.environment_file ?? []).map((path) => environments.get(resolve(root, path)))
  const layers = [fields.environment, ...files].flatMap((layer) => Object.entries(layer ?? {}))
  return texts(Object.fromEntries(layers))
}

function resourcesOf(resources: FunctionFields['limits']): Resources | undefined {
  const { memory, cpu } = resources ?? {}
  if (!memory && !cpu) return undefined
  return given({ memory: memory || undefined, cpu: cpu || undefined })
}

function unlessEmpty(list: readonly string[] | null | undefined): readonly string[] | undefined {
  return list && list.length > 0 ? list : undefined
}
