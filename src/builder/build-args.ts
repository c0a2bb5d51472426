import type { FunctionSource } from '../core/builder.ts'
import { FaasError } from '../core/errors.ts'
import { nearest } from '../core/nearest.ts'
import type { Template } from './template.ts'

/** Build options' packages arrive in a Dockerfile by this name. */
const ADDITIONAL_PACKAGE = 'ADDITIONAL_PACKAGE'

/** Arguments that Docker predefines and keeps out of its own cache; here they stay out of the content hash. */
const PROXY_VARIABLES = ['http_proxy', 'https_proxy', 'no_proxy'] as const

type Args = Readonly<Record<string, string>>

/**
 * The build arguments that decide what the image is: the lang's, then the stack file's, which win, then
 * ADDITIONAL_PACKAGE, which is always there (contract 5.4). Unknown build options are BAD_STACK.
 */
export function contentArgs(source: FunctionSource, template: Template): Args {
  const args = { ...template.languageArgs, ...source.buildArgs }
  const packages = [
    ...source.buildOptions.flatMap((option) => packagesOf(option, source, template)),
    ...(args[ADDITIONAL_PACKAGE] ?? '').split(/\s+/).filter(Boolean),
  ]
  return { ...args, [ADDITIONAL_PACKAGE]: [...new Set(packages)].sort().join(' ') }
}

/** The proxies of the environment, under both spellings, since programs in a RUN step read either. */
export function proxyArgs(env: Readonly<Record<string, string | undefined>>): Args {
  const args: Record<string, string> = {}
  for (const lower of PROXY_VARIABLES) {
    const upper = lower.toUpperCase()
    const value = env[lower] ?? env[upper]
    if (value === undefined || value === '') continue
    args[lower] = value
    args[upper] = env[upper] ?? value
  }
  return args
}

/** What BuildKit sets by itself and the classic builder does not, so that templates build for this machine (pitfall 3). */
export function platformArgs(os: string, architecture: string): Args {
  const platform = `${os}/${architecture}`
  return {
    TARGETPLATFORM: platform,
    BUILDPLATFORM: platform,
    TARGETOS: os,
    TARGETARCH: architecture,
    BUILDOS: os,
    BUILDARCH: architecture,
  }
}

function packagesOf(option: string, source: FunctionSource, template: Template): readonly string[] {
  const packages = template.buildOptions.get(option)
  if (packages) return packages
  const known = [...template.buildOptions.keys()]
  const meant = nearest(option, known, 1)[0]
  throw new FaasError('BAD_STACK', {
    message: `${source.name}: build option ${JSON.stringify(option)} is not one that the template ${template.lang} has`,
    remedy: [
      ...(meant === undefined ? [] : [`Did you mean ${meant}?`]),
      known.length === 0
        ? 'It has none: remove build_options, or declare them in its template.yml.'
        : `It has ${known.join(', ')}.`,
    ].join(' '),
  })
}
