import * as z from 'zod'
import { isDnsLabel } from '../core/function.ts'
import { parseCpu, parseMemory } from '../core/quantity.ts'

/*
 * A stack file (contract 5.1), as the reader checks it and as editors know it. Every scalar arrives here as the text
 * that was written, so every leaf is a string; `type` in its metadata says what an editor may accept unquoted.
 * The error text of a schema is what is accepted in its place.
 */

const UNQUOTED = { type: ['string', 'number', 'boolean'] }
const DNS_LABEL = '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'
const DNS_SUBDOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** What is accepted as the name of a function or namespace. */
export const LABEL_ACCEPTED =
  '1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends, e.g. m-search'

/** How YAML 1.1 and Go write booleans. */
const TRUE = /^(y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/
const FALSE = /^(n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/

/** Whether a field that the schema took as a flag is on. */
export function isOn(flag: string | null | undefined): boolean {
  return typeof flag === 'string' && TRUE.test(flag)
}

function text(accepted: string) {
  return z.string({ error: accepted })
}

function filled(accepted: string) {
  return text(accepted).refine((value) => value !== '', { error: accepted })
}

function flag() {
  const accepted = 'true or false'
  return text(accepted)
    .refine((value) => TRUE.test(value) || FALSE.test(value), { error: accepted })
    .meta({ type: 'boolean' })
}

function list<Item extends z.ZodType>(item: Item, example: string) {
  return z.array(item, { error: `a list, e.g. [${example}]` })
}

function textMap(example: string) {
  const accepted = `a map of names to texts, e.g. ${example}`
  const value = text('a text, a number, or true or false').meta(UNQUOTED)
  return z.record(z.string(), value.nullable(), { error: accepted })
}

function fields<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape).join(', ')
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? known : `a map with the fields ${known}`),
  })
}

function quantity(parse: (text: string) => number, accepted: string) {
  return text(accepted)
    .refine((value) => parses(parse, value), { error: accepted })
    .meta({ type: ['string', 'number'] })
}

function parses(parse: (text: string) => number, value: string): boolean {
  try {
    parse(value)
    return true
  } catch {
    return false
  }
}

function resources(title: string, description: string) {
  return fields({
    memory: quantity(parseMemory, 'a quantity as in Kubernetes, e.g. 128Mi, 1G or 134217728')
      .nullish()
      .meta({ description: 'Memory, as a Kubernetes quantity.', examples: ['128Mi', '1G'] }),
    cpu: quantity(parseCpu, 'a quantity as in Kubernetes, e.g. 100m, 0.5 or 2')
      .nullish()
      .meta({ description: 'Cores, or thousandths of a core with "m".', examples: ['100m', '0.5'] }),
  })
    .nullish()
    .meta({ title, description })
}

const secretName = text('the name of a secret')
  .refine((name) => DNS_SUBDOMAIN.test(name), {
    error:
      '1 to 253 lower-case letters, digits, hyphens and dots, with a letter or digit at both ends, e.g. api-key',
  })
  .meta({ pattern: DNS_SUBDOMAIN.source })

const functionSchema = fields({
  lang: text('the name of a template, e.g. node or python3')
    .nullish()
    .meta({
      title: 'Template',
      description:
        'Name of the template to build with: a folder of template/, or a built-in one. "dockerfile" builds the handler folder\'s own Dockerfile. Absent: the image is taken as it is.',
      examples: ['node', 'python3', 'dockerfile'],
    }),
  handler: text('a folder, e.g. ./m-search')
    .nullish()
    .meta({
      title: 'Handler folder',
      description: 'Folder with the code of the function, relative to the working directory.',
      examples: ['./m-search'],
    }),
  image: filled('the name of an image, e.g. m-search:latest').meta({
    title: 'Image',
    description: 'Name of the image that is built, or deployed as it is where there is no "lang".',
    examples: ['m-search:latest'],
  }),
  skip_build: flag().nullish().meta({
    title: 'Skip build',
    description: 'Deploy the image as it is; do not build or push it.',
  }),
  fprocess: text('a command line, e.g. node index.js').nullish().meta({
    title: 'Function process',
    description: 'Command that the watchdog runs, in place of the one of the image.',
  }),
  environment: textMap('{ API_URL: http://example.com }').nullish().meta({
    title: 'Environment',
    description: 'Environment variables. Values of "environment_file" win over these.',
  }),
  environment_file: list(filled('a file, e.g. env.yml'), 'env.yml').nullish().meta({
    title: 'Environment files',
    description: 'YAML files with a map "environment". Of two files that set a variable, the later wins.',
  }),
  secrets: list(secretName, 'api-key').nullish().meta({
    title: 'Secrets',
    description: 'Names of secrets. Each becomes a file of that name under /var/openfaas/secrets.',
  }),
  labels: textMap('{ com.openfaas.scale.min: 1 }').nullish().meta({
    title: 'Labels',
    description: 'Labels of the function, among them com.openfaas.scale.min, .max, .factor and .zero.',
  }),
  annotations: textMap('{ topic: orders }').nullish().meta({
    title: 'Annotations',
    description: 'Annotations of the function, for connectors and tools.',
  }),
  limits: resources('Limits', 'The most memory and processor time that one replica may take.'),
  requests: resources('Requests', 'Memory and processor time that are kept for one replica.'),
  constraints: list(text('a constraint'), '"node.labels.ssd == true"')
    .nullish()
    .meta({ title: 'Constraints', description: 'Where replicas may run, in the words of the provider.' }),
  readonly_root_filesystem: flag().nullish().meta({
    title: 'Read-only root file system',
    description: 'Nothing but /tmp can be written to.',
  }),
  namespace: text('the name of a namespace, e.g. openfaas-fn')
    .refine((name) => name === '' || isDnsLabel(name), { error: LABEL_ACCEPTED })
    .meta({ pattern: DNS_LABEL })
    .nullish()
    .meta({ title: 'Namespace', description: 'Namespace to deploy to, unless --namespace names another.' }),
  build_args: textMap('{ NODE_ENV: production }').nullish().meta({
    title: 'Build arguments',
    description: 'Values of ARG instructions of the Dockerfile.',
  }),
  build_options: list(filled('the name of a build option'), 'dev').nullish().meta({
    title: 'Build options',
    description: 'Names of package sets that the template.yml of the template declares.',
  }),
  build_secrets: textMap('{ npmrc: ./.npmrc }').nullish().meta({
    title: 'Build secrets',
    description: 'BuildKit secrets: id to file, relative to the working directory.',
  }),
  platforms: text('platforms with commas between them, e.g. linux/amd64,linux/arm64')
    .nullish()
    .meta({
      title: 'Platforms',
      description: 'Platforms that "publish" builds for, with commas between them.',
      examples: ['linux/amd64,linux/arm64'],
    }),
})

const providerSchema = fields({
  name: text('openfaas')
    .refine((name) => name === 'openfaas', { error: 'openfaas' })
    .meta({ title: 'Provider name', description: 'Always "openfaas".', enum: ['openfaas'] }),
  gateway: text('an address, e.g. http://127.0.0.1:8080')
    .nullish()
    .meta({
      title: 'Gateway',
      description: 'Address of the gateway, unless --gateway names another.',
      examples: ['http://127.0.0.1:8080'],
    }),
})

const configurationSchema = fields({
  templates: list(
    fields({
      name: filled('the name of a template').meta({ description: 'Name of the template, as "lang" has it.' }),
      source: text('a git address').nullish().meta({
        description:
          'Git address, with #BRANCH or @BRANCH behind it where needed. Absent: looked up in the template store.',
      }),
    }),
    '{ name: node20 }',
  )
    .nullish()
    .meta({ title: 'Templates', description: 'Where templates come from.' }),
  copy: list(filled('a folder, e.g. ./common'), './common').nullish().meta({
    title: 'Copies',
    description:
      'Folders or files inside the working directory that are put into the handler folder of every function, under the same path.',
  }),
})

/** The whole file. Top-level fields that begin with `x-` are the user's own (places for YAML anchors); see readStack. */
export const stackSchema = fields({
  version: text('1.0')
    .refine((version) => version === '' || version === '1.0', { error: '1.0' })
    .meta({ type: ['string', 'number'], enum: ['1.0', 1] })
    .nullish()
    .meta({ title: 'Version', description: 'Version of the format: 1.0.' }),
  provider: providerSchema.meta({ title: 'Provider', description: 'What runs the functions.' }),
  functions: z
    .record(z.string().meta({ pattern: DNS_LABEL }), functionSchema, {
      error: 'a map of functions by name, e.g. functions: { m-search: { lang: node, … } }',
    })
    .refine((functions) => Object.keys(functions).length > 0, { error: 'at least one function' })
    .meta({ title: 'Functions', description: 'The functions, by name.', minProperties: 1 }),
  configuration: configurationSchema
    .nullish()
    .meta({ title: 'Configuration', description: 'Templates, and what is copied into builds.' }),
}).meta({
  title: 'OpenFaaS stack file',
  description: 'Functions, how they are built and how they are deployed: stack.yaml or stack.yml.',
})

export type StackFile = z.output<typeof stackSchema>
export type FunctionFields = z.output<typeof functionSchema>

/** An environment file: `environment_file` names such. */
export const environmentFileSchema = fields({
  environment: textMap('{ API_URL: http://example.com }').nullable(),
})
