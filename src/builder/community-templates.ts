/**
 * Which GitHub repository provides a template that is not built in, by name: the template store's list, and what
 * the main repository gave up over time (contract 7). Only `owner/name`: where that is hosted is `template pull`'s affair.
 */
const REPOSITORIES: Readonly<Record<string, readonly string[]>> = {
  'openfaas/templates': [
    'node17',
    'node18',
    'node20',
    'node22',
    'bun-express',
    'php7',
    'php8',
    'java11',
    'java11-vert-x',
    'java17',
  ],
  'openfaas/golang-http-template': ['golang-middleware', 'golang-middleware-inproc', 'golang-http'],
  'openfaas/python-flask-template': [
    'python3-http',
    'python3-http-debian',
    'python3-flask',
    'python3-flask-debian',
    'python27-flask',
  ],
  'openfaas/dotnet-templates': ['dotnet8-csharp'],
  'openfaas/ruby-http': ['ruby-http'],
  'openfaas-incubator/openfaas-rust-template': ['rust', 'rust-http'],
  'openfaas-incubator/powershell-template': ['powershell-template'],
  'openfaas-incubator/powershell-http-template': ['powershell-http-template'],
  'alexellis/openfaas-streaming-templates': ['bash-streaming'],
  'alexellis/openfaas-puppeteer-template': ['puppeteer-nodelts'],
  'pmlopes/openfaas-quarkus-native-template': ['quarkus-native'],
  'tmiklas/openfaas-perl-templates': ['perl-alpine'],
  'devries/openfaas-cobol-template': ['cobol'],
}

const REPOSITORY_OF = new Map(
  Object.entries(REPOSITORIES).flatMap(([repository, names]) =>
    names.map((name) => [name, repository] as const),
  ),
)

/** The repository (`owner/name`) that provides the template of `lang`, when it is a well-known one. */
export function repositoryOf(lang: string): string | undefined {
  return REPOSITORY_OF.get(lang.toLowerCase())
}

/** Names of all well-known templates that are pulled rather than built in. */
export function communityTemplates(): readonly string[] {
  return [...REPOSITORY_OF.keys()]
}
