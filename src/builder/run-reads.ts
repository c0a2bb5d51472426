import { posix } from 'node:path'
import { expand } from './dockerfile.ts'
import type { Args } from './dockerfile.ts'
import { npmReads } from './npm-manifests.ts'
import { shellCommands } from './shell.ts'
import type { ShellCommand } from './shell.ts'

/** Files of an image while it is built, as far as they are known, by absolute path. */
export interface KnownFiles {
  has(path: string): boolean
  /** Of a folder, with those in folders of it. */
  below(folder: string): readonly string[]
  /** Undefined for a file that is not known. */
  text(path: string): Promise<string | undefined>
}

/** Where a step runs. */
export interface Step {
  readonly folder: string
  readonly variables: Args
  readonly files: KnownFiles
}

/** The known files that the outcome of a step depends on, or that it changes. */
export type Reads = ReadonlySet<string> | 'everything'

/** Scripts that start scripts. */
const MAX_DEPTH = 3

/** Programs whose outcome does not depend on a function's files, whatever they are told. */
const INDIFFERENT: ReadonlySet<string> = new Set(
  `true false : echo printf mkdir chown chgrp adduser addgroup useradd groupadd usermod groupmod deluser id whoami pwd
  date sleep which command type export set unset umask uname touch exit apk apt-get apt yum dnf microdnf curl wget
  update-ca-certificates ldconfig locale-gen docker-php-ext-install docker-php-ext-configure docker-php-ext-enable pecl
  corepack getent nproc`.split(/\s+/),
)

/** Programs that only judge: a build fails or it does not, and the image is the same. */
const JUDGES: ReadonlySet<string> = new Set(
  `jest mocha ava tap vitest eslint prettier standard xo nyc c8 pytest tox flake8 pylint mypy black isort ruff rspec
  rubocop phpunit phpstan phpcs`.split(/\s+/),
)
const PYTHON_JUDGES: ReadonlySet<string> = new Set([...JUDGES, 'unittest'])

/** Programs that depend on the files they are told, and on no others. */
const READERS: ReadonlySet<string> = new Set([
  'test',
  '[',
  '[[',
  'cat',
  'head',
  'tail',
  'grep',
  'wc',
  'ls',
  'diff',
])
/** Programs that change the files they are told. */
const CHANGERS: ReadonlySet<string> = new Set(['chmod', 'rm', 'cp', 'mv', 'ln', 'install', 'rmdir'])

/** What of an npm project is read besides manifests: by well-known packages' own install scripts. */
const READ_BY_PACKAGES =
  /(^|\/)(yarn\.lock|pnpm-lock\.yaml|pnpm-workspace\.yaml|\.pnpmfile\.cjs|bun\.lockb?|bunfig\.toml)$|^\.yarn\/|(^|\/)\.[\w-]+rc(\.\w+)?$|\.prisma$/

/**
 * Which of the known files a RUN line depends on. Programs that are not known depend on everything, so that an answer is
 * either right or costs a build.
 */
export async function readsOf(line: string, step: Step, depth = 0): Promise<Reads> {
  const commands = depth > MAX_DEPTH ? undefined : shellCommands(line)
  if (commands === undefined) return 'everything'
  const reads = new Set<string>()
  let { folder } = step
  let before: readonly string[] = []
  for (const command of commands) {
    const words = command.words.map((word) => expand(word, step.variables))
    const opened = openedFiles(command, { ...step, folder })
    if (opened === 'everything') return 'everything'
    for (const path of opened) reads.add(path)
    if (words[0] === 'cd') {
      const to = words[1]
      // Behind a parenthesis it would not hold.
      if (to === undefined || /[$~*]|^-/.test(to) || line.includes('(')) return 'everything'
      folder = posix.resolve(folder, to)
      continue
    }
    const isFound = command.isPiped && before[0] === 'find' && words[0] === 'xargs'
    const found = isFound
      ? touched(foldersOfFind(before.slice(1)), { ...step, folder })
      : await readsOfCommand(words, { ...step, folder }, depth)
    before = words
    if (found === 'everything') return 'everything'
    for (const path of found) reads.add(path)
  }
  return reads
}

function openedFiles({ redirects }: ShellCommand, { folder, variables, files }: Step): Reads {
  const opened = new Set<string>()
  for (const redirect of redirects) {
    const path = expand(redirect.path, variables)
    if (/[$*?]/.test(path)) return 'everything'
    if (files.has(posix.resolve(folder, path))) opened.add(posix.resolve(folder, path))
  }
  return opened
}

const NOTHING: ReadonlySet<string> = new Set()

async function readsOfCommand(words: readonly string[], step: Step, depth: number): Promise<Reads> {
  const [program = '', ...rest] = words
  const name = posix.basename(program)
  const options = rest.filter((word) => word.startsWith('-'))
  if (program === '') return NOTHING
  if (step.files.has(posix.resolve(step.folder, program)) && program.includes('/'))
    return readsOfScript(program, step, depth)
  if (INDIFFERENT.has(name)) return NOTHING
  if (JUDGES.has(name)) return readsOfJudge(name, rest)
  if (['test', '[', '[['].includes(name)) return touched(testedFiles(rest), step)
  if (READERS.has(name) || CHANGERS.has(name)) return touched(rest, step)
  switch (name) {
    case 'npm':
    case 'yarn':
    case 'pnpm':
    case 'bun':
      return readsOfNpm(name, rest, step)
    case 'pip':
    case 'pip3':
      return readsOfPip(rest, step)
    case 'composer':
      return readsOfComposer(rest, step)
    case 'bundle':
      return readsOfBundler(rest, step)
    case 'find':
      return readsOfFind(rest, step)
    case 'eval':
      return rest.some((word) => word.includes('$')) ? 'everything' : readsOf(rest.join(' '), step, depth + 1)
    case 'sh':
    case 'bash':
    case 'ash':
      if (options.includes('-c')) return readsOf(rest[rest.indexOf('-c') + 1] ?? '', step, depth + 1)
      return options.every((option) => /^-[eux]+$/.test(option))
        ? readsOfScript(rest.find((word) => !word.startsWith('-')) ?? '', step, depth)
        : 'everything'
    case 'python':
    case 'python3':
      if (rest[0] === '-m' && rest[1] === 'pip') return readsOfPip(rest.slice(2), step)
      if (isTest(rest)) return NOTHING
      if (rest[0] === '-m' && PYTHON_JUDGES.has(rest[1] ?? ''))
        return readsOfJudge(rest[1] ?? '', rest.slice(2))
      return rest[0] === '-m' && ['venv', 'ensurepip'].includes(rest[1] ?? '') ? NOTHING : 'everything'
    case 'node':
      return ['--version', '-v', '--test', '--check', '-c'].includes(rest[0] ?? '') || isTest(rest)
        ? NOTHING
        : 'everything'
    case 'php':
      return rest[0] === '-l' ? NOTHING : 'everything'
    default:
      return 'everything'
  }
}

/** `server.test.js`, `test_handler.py`: a program that says by its name that it only judges. */
function isTest([script = '']: readonly string[]): boolean {
  return /(^|[/._-])(test|spec)\.([cm]?[jt]s|py)$|(^|\/)test_\w+\.py$/.test(script)
}

/** Some of them can be told to mend what they find. */
function readsOfJudge(name: string, rest: readonly string[]): Reads {
  const mends = rest.some((word) => /^--?(fix|write|w|i|a|A|auto-correct|autocorrect|in-place)\b/.test(word))
  const onlyChecks = rest.includes('--check') || rest.includes('--check-only') || rest.includes('-c')
  if (
    mends ||
    (['black', 'isort'].includes(name) && !onlyChecks) ||
    (name === 'ruff' && rest[0] === 'format')
  )
    return onlyChecks ? NOTHING : 'everything'
  return NOTHING
}

async function readsOfScript(path: string, step: Step, depth: number): Promise<Reads> {
  const file = posix.resolve(step.folder, path)
  const text = /[$*?]/.test(path) ? undefined : await step.files.text(file)
  if (text === undefined || (text.startsWith('#!') && !/^#!.*\b(ba|a|da)?sh\b/.test(text)))
    return 'everything'
  const reads = await readsOf(text, step, depth + 1)
  return reads === 'everything' ? reads : new Set([...reads, file])
}

/** What is named, with all that is in it; for a pattern, all that is in its folder. Where something goes in a folder too. */
function touched(operands: readonly string[], { folder, files }: Step): Reads {
  const reads = new Set<string>()
  const plain = operands.filter((word) => !word.startsWith('-'))
  const target = posix.resolve(folder, plain.at(-1) ?? '.')
  for (const operand of plain) {
    if (operand.includes('$')) return 'everything'
    const fixed = /[*?[]/.test(operand) ? posix.dirname(operand.replace(/[*?[].*$/, 'x')) : operand
    const path = posix.resolve(folder, fixed)
    for (const found of [path, posix.join(target, posix.basename(path))])
      if (files.has(found)) reads.add(found)
    for (const found of files.below(path)) reads.add(found)
  }
  return reads
}

/** Texts and numbers are compared; files stand behind an operator. */
function testedFiles(words: readonly string[]): readonly string[] {
  if (words.some((word) => /^-(nt|ot|ef)$/.test(word))) return words
  return words.filter((_, at) => /^-[a-mo-y]$/i.test(words[at - 1] ?? ''))
}

function foldersOfFind(rest: readonly string[]): readonly string[] {
  const end = rest.findIndex((word) => word.startsWith('-'))
  const folders = end === -1 ? rest : rest.slice(0, end)
  return folders.length === 0 ? ['.'] : folders
}

function readsOfFind(rest: readonly string[], step: Step): Reads {
  const action = rest.findIndex((word) => /^-(exec|execdir|delete|ok|fprint|fls)/.test(word))
  if (action === -1) return NOTHING
  const onlyFolders = rest[rest.indexOf('-type') + 1] === 'd' && rest.includes('-type')
  const program = rest[action + 1] ?? ''
  if (rest[action]?.startsWith('-exec') === true && program === 'chown') return NOTHING
  if (rest[action]?.startsWith('-exec') === true && program === 'chmod' && onlyFolders) return NOTHING
  return touched(foldersOfFind(rest), step)
}

// ------------------------------------------------------------------------------------------------------ package managers

const NPM_INSTALLS: ReadonlySet<string> = new Set([
  'install',
  'i',
  'ci',
  'add',
  'clean-install',
  'prune',
  'rebuild',
])
const NPM_ASIDE: ReadonlySet<string> = new Set([
  'cache',
  'config',
  'set',
  'audit',
  'ls',
  'list',
  'why',
  'outdated',
])
const NPM_JUDGES = /^(test|t|tst|lint|check|format:check|test:\w+|lint:\w+)$/
/** What a test script does beside testing when it makes something of the sources. */
const MAKES =
  /\b(tsc|build|webpack|rollup|esbuild|swc|babel|vite|parcel|ncc|gulp|grunt|make|generate|codegen)\b(?!.*--noEmit)/

async function readsOfNpm(name: string, rest: readonly string[], step: Step): Promise<Reads> {
  const options = rest.filter((word) => word.startsWith('-'))
  const [verb = name === 'yarn' ? 'install' : '', ...operands] = rest.filter((word) => !word.startsWith('-'))
  if (options.some((option) => /^(-C|--prefix|--cwd|--dir|--workspace|-w)\b/.test(option)))
    return 'everything'
  if (verb === '') return options.some((option) => /^(-v|--version)$/.test(option)) ? NOTHING : 'everything'
  if (NPM_ASIDE.has(verb)) return NOTHING
  const isGlobal = options.some((option) => /^(-g|--global|--location=global)$/.test(option))
  const isPath = operands.some((word) => /^[./~]|^file:|\.tgz$|\$/.test(word))
  if (NPM_INSTALLS.has(verb) && isGlobal && operands.length > 0 && !isPath) return NOTHING
  const home = homeOf(step, 'package.json')
  const all = new Set(step.files.below(home ?? step.folder))
  const script = verb === 'run' || verb === 'run-script' ? (operands[0] ?? '') : verb
  if (NPM_JUDGES.test(script) && home !== undefined) {
    const manifest = await parsed(posix.join(home, 'package.json'), step)
    const { scripts } = (manifest ?? {}) as { readonly scripts?: Readonly<Record<string, string>> }
    const wanted = script === 't' || script === 'tst' ? 'test' : script
    const ran = [`pre${wanted}`, wanted, `post${wanted}`].map((key) => scripts?.[key] ?? '')
    return manifest === null || ran.some((text) => MAKES.test(text)) ? all : NOTHING
  }
  if (!NPM_INSTALLS.has(verb) || isPath || home === undefined) return all
  const relative = new Map([...all].map((path) => [posix.relative(home, path), path]))
  const { reads } = await npmReads([...relative.keys()], (path) => parsed(posix.join(home, path), step))
  return new Set(
    [...relative]
      .filter(
        ([path]) => reads(path) || READ_BY_PACKAGES.test(path) || path.split('/').includes('node_modules'),
      )
      .map(([, path]) => path),
  )
}

/** The nearest folder upwards that has `file`. */
function homeOf({ folder, files }: Step, file: string): string | undefined {
  for (let at = folder; ; at = posix.dirname(at)) {
    if (files.has(posix.join(at, file))) return at
    if (at === '/') return undefined
  }
}

async function parsed(path: string, { files }: Step): Promise<object | null | undefined> {
  const text = await files.text(path)
  if (text === undefined) return undefined
  try {
    const found: unknown = JSON.parse(text)
    return typeof found === 'object' ? found : null
  } catch {
    return null
  }
}

async function readsOfPip(rest: readonly string[], step: Step): Promise<Reads> {
  if (['cache', 'config', 'list', 'freeze', 'check', '--version', 'uninstall'].includes(rest[0] ?? ''))
    return NOTHING
  if (rest[0] !== 'install') return 'everything'
  const reads = new Set<string>()
  for (let at = 1; at < rest.length; at++) {
    const word = rest[at] ?? ''
    const [, inline] = /^(?:-[rc]|--(?:requirement|constraint)=)(.+)$/.exec(word) ?? []
    const list = inline ?? (/^(-r|-c|--requirement|--constraint)$/.test(word) ? rest[++at] : undefined)
    if (list !== undefined) {
      if (!(await addRequirements(posix.resolve(step.folder, list), step, reads))) return 'everything'
    } else if (/^(-e|--editable)/.test(word) || (!word.startsWith('-') && isLocal(word))) return 'everything'
  }
  return reads
}

/** False where a list of requirements leads to a package among the function's own files. */
async function addRequirements(path: string, step: Step, reads: Set<string>): Promise<boolean> {
  if (path.includes('$')) return false
  const text = await step.files.text(path)
  if (text === undefined || reads.has(path)) return true
  reads.add(path)
  for (const raw of text.replace(/\\\r?\n/g, ' ').split('\n')) {
    const line = raw.replace(/(^|\s)#.*$/, '').trim()
    const [, list] = /^(?:-[rc]\s*|--(?:requirement|constraint)[=\s]\s*)(.+)$/.exec(line) ?? []
    if (list !== undefined) {
      if (!(await addRequirements(posix.resolve(posix.dirname(path), list), step, reads))) return false
    } else if (/^(-e|--editable)/.test(line) || isLocal(line) || /@\s*file:/.test(line)) return false
  }
  return true
}

function isLocal(requirement: string): boolean {
  return /^[./~]|^file:|\$|\.(whl|zip|tar\.gz)$/.test(requirement) && !/^\w+\+|^https?:/.test(requirement)
}

async function readsOfComposer(rest: readonly string[], step: Step): Promise<Reads> {
  if (
    rest[0] !== 'install' ||
    rest.some((word) => /^(-[oaWd]|--(optimize|classmap|apcu|working))/.test(word))
  )
    return rest[0] === '--version' ? NOTHING : 'everything'
  const manifest = await step.files.text(posix.join(step.folder, 'composer.json'))
  if (manifest !== undefined && /"(scripts|classmap|path|optimize-autoloader|psr-0)"/.test(manifest))
    return 'everything'
  return present(step, ['composer.json', 'composer.lock', 'auth.json'], /^vendor\//)
}

async function readsOfBundler(rest: readonly string[], step: Step): Promise<Reads> {
  if (rest[0] === 'config') return NOTHING
  if (rest[0] !== undefined && rest[0] !== 'install' && !rest[0].startsWith('-')) return 'everything'
  const gemfile = (await step.files.text(posix.join(step.folder, 'Gemfile'))) ?? ''
  if (/path|gemspec|eval|require|File|load/.test(gemfile)) return 'everything'
  return present(step, ['Gemfile', 'Gemfile.lock', '.ruby-version'], /^(vendor|\.bundle)\//)
}

function present({ folder, files }: Step, names: readonly string[], more: RegExp): Reads {
  const paths = names.map((name) => posix.join(folder, name)).filter((path) => files.has(path))
  return new Set([...paths, ...files.below(folder).filter((path) => more.test(posix.relative(folder, path)))])
}
