import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { FaasError } from '../core/errors.ts'
import { StackError } from './mistakes.ts'
import { readStack } from './read-stack.ts'
import type { ReadStackOptions } from './read-stack.ts'
import { findStackFile } from './stack-location.ts'

const folders: string[] = []
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

/** A folder with files; a name that ends in a slash is a folder. */
async function project(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'faasdock-stack-'))
  folders.push(root)
  for (const [name, text] of Object.entries(files)) {
    await mkdir(name.endsWith('/') ? join(root, name) : dirname(join(root, name)), { recursive: true })
    if (!name.endsWith('/')) await writeFile(join(root, name), text)
  }
  return root
}

function stack(functions: string, rest = ''): string {
  return `version: 1.0\nprovider:\n  name: openfaas\n${rest}functions:\n${functions}`
}

const IMAGE_ONLY = stack('  a:\n    image: a:1\n')

function read(root: string, options: Partial<ReadStackOptions> = {}, file = 'stack.yml') {
  return readStack(file, { env: {}, cwd: root, ...options })
}

async function failure(reading: Promise<unknown>): Promise<FaasError> {
  const error: unknown = await reading.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof FaasError)) throw new Error(`expected a FaasError, got ${String(error)}`)
  return error
}

async function stackError(reading: Promise<unknown>): Promise<StackError> {
  const error = await failure(reading)
  if (!(error instanceof StackError)) throw error
  return error
}

/** `LINE:COLUMN message` of every mistake. */
async function mistakes(reading: Promise<unknown>): Promise<string[]> {
  return (await stackError(reading)).mistakes.map(
    ({ line, column, message }) => `${line}:${column} ${message}`,
  )
}

describe('a whole file', () => {
  const files = {
    'stack.yml': stack(
      `  m-search:
    lang: node
    handler: ./m-search
    image: registry.example/m-search:\${TAG:-latest}
    fprocess: node index.js
    environment:
      API_URL: \${API}/v1
      RETRIES: 3
      FACTOR: 1.0
      DEBUG: yes
      EMPTY:
      FROM: stack
    environment_file:
      - env/one.yml
      - env/two.yml
    secrets: [mobile-token, api.key]
    labels:
      com.openfaas.scale.min: 1
      com.openfaas.scale.zero: true
    annotations:
      topic: a,b
    limits: { memory: 128Mi, cpu: 100m }
    requests:
      memory: 134217728
    constraints:
      - node.labels.ssd == true
    readonly_root_filesystem: true
    namespace: mobile
    build_args: { NODE_ENV: production, LEVEL: 1 }
    build_options: [dev]
    build_secrets: { npmrc: .npmrc }
    platforms: linux/amd64,linux/arm64
  ready-made:
    image: ready:1
`,
      `  gateway: http://127.0.0.1:9090
configuration:
  templates:
    - name: node20
      source: https://example.com/templates#v1
    - name: golang
  copy:
    - ./common
`,
    ),
    'env/one.yml': 'environment:\n  FROM: one\n  A: 0x10\n',
    'env/two.yml': 'environment:\n  FROM: two\n',
    '.npmrc': '',
    'm-search/': '',
    'common/': '',
  }

  test('becomes sources and specs in core’s words', async () => {
    const root = await project(files)
    const result = await read(root, { env: { API: 'http://api' } })
    expect(result).toEqual({
      file: join(root, 'stack.yml'),
      root,
      gateway: 'http://127.0.0.1:9090',
      templates: [{ name: 'node20', source: 'https://example.com/templates#v1' }, { name: 'golang' }],
      inputs: [join(root, 'stack.yml'), join(root, 'env/one.yml'), join(root, 'env/two.yml')],
      functions: [
        {
          platforms: 'linux/amd64,linux/arm64',
          source: {
            name: 'm-search',
            lang: 'node',
            handler: join(root, 'm-search'),
            image: 'registry.example/m-search:latest',
            root,
            buildArgs: { NODE_ENV: 'production', LEVEL: '1' },
            buildOptions: ['dev'],
            buildSecrets: { npmrc: join(root, '.npmrc') },
            copy: ['./common'],
          },
          spec: {
            name: 'm-search',
            namespace: 'mobile',
            image: 'registry.example/m-search:latest',
            envProcess: 'node index.js',
            envVars: {
              API_URL: 'http://api/v1',
              RETRIES: '3',
              FACTOR: '1.0',
              DEBUG: 'yes',
              EMPTY: '',
              FROM: 'two',
              A: '0x10',
            },
            constraints: ['node.labels.ssd == true'],
            secrets: ['mobile-token', 'api.key'],
            labels: { 'com.openfaas.scale.min': '1', 'com.openfaas.scale.zero': 'true' },
            annotations: { topic: 'a,b' },
            limits: { memory: '128Mi', cpu: '100m' },
            requests: { memory: '134217728' },
            readOnlyRootFilesystem: true,
          },
        },
        {
          spec: {
            name: 'ready-made',
            namespace: 'openfaas-fn',
            image: 'ready:1',
            labels: {},
            annotations: {},
          },
        },
      ],
    })
  })

  test('with nothing in optional fields has none of them', async () => {
    const empty = `  a:
    image: a:1
    environment:
    secrets: []
    constraints: []
    limits: {}
    requests: { cpu: }
    labels:
    lang:
    platforms:
    namespace:
`
    const { functions } = await read(await project({ 'stack.yml': stack(empty) }))
    expect(functions).toEqual([
      { spec: { name: 'a', namespace: 'openfaas-fn', image: 'a:1', labels: {}, annotations: {} } },
    ])
  })

  test('gives no source to functions that skip their build, however the flag is written', async () => {
    for (const flag of ['true', 'yes', 'On']) {
      const text = stack(
        `  a:\n    lang: node\n    handler: ./missing\n    image: a:1\n    skip_build: ${flag}\n`,
      )
      const { functions } = await read(await project({ 'stack.yml': text }))
      expect(functions[0]).not.toHaveProperty('source')
    }
  })

  test('gives way to the namespace of the command', async () => {
    const root = await project(files)
    const { functions } = await read(root, { namespace: 'staging' })
    expect(functions.map(({ spec }) => spec.namespace)).toEqual(['staging', 'staging'])
    expect((await failure(read(root, { namespace: 'Not Valid' }))).code).toBe('BAD_NAME')
  })

  test('keeps ${X} when substitution is off', async () => {
    const root = await project({ 'stack.yml': stack('  a:\n    image: ${IMAGE}\n') })
    const { functions } = await read(root, { substitute: false })
    expect(functions[0]?.spec.image).toBe('${IMAGE}')
  })

  test('may have anchors, in fields of its own that begin with x-', async () => {
    const text = `x-labels: &labels { team: mobile }\n${stack('  a: { image: a, labels: { <<: *labels, tier: 1 } }\n')}`
    const { functions } = await read(await project({ 'stack.yml': text }))
    expect(functions[0]?.spec.labels).toEqual({ team: 'mobile', tier: '1' })
  })

  test('may begin with a byte order mark and have Windows line ends', async () => {
    const root = await project({ 'stack.yml': `\uFEFF${IMAGE_ONLY.replaceAll('\n', '\r\n')}` })
    expect((await read(root)).functions[0]?.spec.image).toBe('a:1')
    const bad = await project({ 'stack.yml': stack('  a:\n    imag: a\n').replaceAll('\n', '\r\n') })
    const error = await failure(read(bad))
    expect(error.message).toContain('\n  6 |     imag: a\n')
  })
})

describe('mistakes', () => {
  test('are all told at once, each with its place, line, caret, what is accepted and what was meant', async () => {
    const root = await project({
      'stack.yml': `version: 2.0
provider:
  name: faas
functions:
  m-search:
    lang: node
    hander: ./m-search
    image: m-search:\${TAG:-latest}
    limits: { memory: "\${MEM:-lots}", cpu: 100x }
    environment_file: [env.yml, evn.yml]
  M_Notice:
    lang: python3
    handler: ./m-notise
    image: \${IMAGE}
    secrets:
      - Not_Valid
  m-search:
    image: \${A.B}
configuration:
  copy: [../x]
`,
      'env.yml': 'environment:\n  TOKEN: [x]\n',
      'm-notice/': '',
    })
    const { message, code, remedy } = await failure(read(root))
    expect(code).toBe('BAD_STACK')
    expect(remedy).toMatch(/^Correct the file\./)
    expect(message.replaceAll(root, 'ROOT')).toBe(`stack.yml has 14 mistakes

stack.yml:1:10  version is "2.0"
  1 | version: 2.0
    |          ^^^
  accepted: 1.0

stack.yml:3:9  provider.name is "faas"
  3 |   name: faas
    |         ^^^^
  accepted: openfaas

stack.yml:7:5  unknown field "hander" in function m-search
  7 |     hander: ./m-search
    |     ^^^^^^
  did you mean "handler"?
  accepted: lang, handler, image, skip_build, fprocess, environment, environment_file, secrets, labels, annotations, limits, requests, constraints, readonly_root_filesystem, namespace, build_args, build_options, build_secrets, platforms

stack.yml:9:23  limits.memory of m-search is "lots"
  9 |     limits: { memory: "\${MEM:-lots}", cpu: 100x }
    |                       ^^^^^^^^^^^^^^
  accepted: a quantity as in Kubernetes, e.g. 128Mi, 1G or 134217728

stack.yml:9:44  limits.cpu of m-search is "100x"
  9 |     limits: { memory: "\${MEM:-lots}", cpu: 100x }
    |                                            ^^^^
  accepted: a quantity as in Kubernetes, e.g. 100m, 0.5 or 2

stack.yml:10:33  environment_file[1] of m-search is "evn.yml", which does not exist
  10 |     environment_file: [env.yml, evn.yml]
     |                                 ^^^^^^^
  did you mean "env.yml"?
  accepted: a YAML file with a map "environment"; relative paths start in ROOT

stack.yml:11:3  function name "M_Notice" is not a DNS label
  11 |   M_Notice:
     |   ^^^^^^^^
  did you mean "m-notice"?
  accepted: 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends, e.g. m-search

stack.yml:13:14  handler of M_Notice is "./m-notise", which does not exist
  13 |     handler: ./m-notise
     |              ^^^^^^^^^^
  did you mean "./m-notice"?
  accepted: a folder; relative paths start in ROOT

stack.yml:14:5  image of M_Notice is empty
  14 |     image: \${IMAGE}
     |     ^^^^^
  accepted: the name of an image, e.g. m-search:latest

stack.yml:16:9  secrets[0] of M_Notice is "Not_Valid"
  16 |       - Not_Valid
     |         ^^^^^^^^^
  accepted: 1 to 253 lower-case letters, digits, hyphens and dots, with a letter or digit at both ends, e.g. api-key

stack.yml:17:3  "m-search" is given twice, first at stack.yml:5:3
  17 |   m-search:
     |   ^^^^^^^^

stack.yml:18:12  "\${A.B}" has "." after the name A, where a closing brace is missing
  18 |     image: \${A.B}
     |            ^^^^^^
  accepted: \${NAME}, \${NAME:-default}, with a name of letters, digits and underscores; $\${ where the text "\${" itself is meant

stack.yml:20:10  configuration.copy[0] is "../x", which is outside of the working directory
  20 |   copy: [../x]
     |          ^^^^
  accepted: a folder or file inside of ROOT

env.yml:2:10  environment.TOKEN is a list
  2 |   TOKEN: [x]
    |          ^^^
  accepted: a text, a number, or true or false`)
  })

  test.each([
    ['an empty file', '', ['1:1 the file is empty']],
    ['a file of comments', '# nothing yet\n', ['1:1 the file is empty']],
    ['a file that is a text', 'hello', ['1:1 the file is a text']],
    [
      'broken YAML',
      stack('  a:\n    image: a\n   lang: node\n'),
      ['7:1 not YAML: all mapping items must start at the same column'],
    ],
    ['a tab', stack('  a:\n\timage: a\n'), ['6:1 not YAML: tabs are not allowed as indentation']],
    ['no provider', 'functions:\n  a:\n    image: a\n', ['1:1 provider is missing']],
    ['no provider name', 'provider:\nfunctions:\n  a:\n    image: a\n', ['1:1 provider is empty']],
    ['no functions', 'provider: { name: openfaas }\n', ['1:1 functions is missing']],
    ['functions with nothing in it', stack(''), ['4:1 functions is empty']],
    [
      'an empty map of functions',
      stack('').replace('functions:', 'functions: {}'),
      ['4:12 functions is empty'],
    ],
    ['an empty function', stack('  a:\n'), ['5:3 function a is empty']],
    ['a list of functions', stack('  - a\n'), ['5:3 functions is a list']],
    ['an unknown field at the top', `${IMAGE_ONLY}functons: {}\n`, ['7:1 unknown field "functons"']],
    [
      'an unknown field of the provider',
      stack('  a: { image: a }\n', '  network: x\n'),
      ['4:3 unknown field "network" in provider'],
    ],
    [
      'an unknown limit',
      stack('  a: { image: a, limits: { disk: 1G } }\n'),
      ['5:28 unknown field "disk" in limits of a'],
    ],
    [
      'an unknown field of a template',
      stack('  a: { image: a }\n', 'configuration: { templates: [{ name: x, url: y }] }\n'),
      ['4:41 unknown field "url" in configuration.templates[0]'],
    ],
    [
      'a template without name',
      stack('  a: { image: a }\n', 'configuration: { templates: [{ source: y }] }\n'),
      ['4:30 configuration.templates[0].name is missing'],
    ],
    ['a missing image', stack('  a:\n    fprocess: x\n'), ['5:3 image of a is missing']],
    ['an empty image', stack('  a:\n    image: ""\n'), ['6:12 image of a is ""']],
    ['a map for a text', stack('  a:\n    image: { name: a }\n'), ['6:12 image of a is a map']],
    ['a text for a list', stack('  a: { image: a, secrets: key }\n'), ['5:27 secrets of a is "key"']],
    [
      'a list for a map',
      stack('  a: { image: a, environment: [A=1] }\n'),
      ['5:31 environment of a is a list'],
    ],
    [
      'a map for a value',
      stack('  a: { image: a, labels: { x: { y: z } } }\n'),
      ['5:31 labels.x of a is a map'],
    ],
    ['a flag that is none', stack('  a: { image: a, skip_build: 1 }\n'), ['5:30 skip_build of a is "1"']],
    [
      'a namespace that is none',
      stack('  a: { image: a, namespace: My_NS }\n'),
      ['5:29 namespace of a is "My_NS"'],
    ],
    [
      'a secret with a path',
      stack('  a: { image: a, secrets: [../key] }\n'),
      ['5:28 secrets[0] of a is "../key"'],
    ],
    [
      'a handler without lang',
      stack('  a:\n    image: a\n    handler: ./a\n'),
      ['7:5 function a has a handler but no "lang"'],
    ],
    [
      'a lang without handler',
      stack('  a:\n    image: a\n    lang: node\n'),
      ['7:5 function a has a "lang" but no handler'],
    ],
    [
      'a handler that is missing',
      stack('  a: { image: a, lang: node, handler: ./a }\n'),
      ['5:39 handler of a is "./a", which does not exist'],
    ],
    [
      'a handler that is a file',
      stack('  a: { image: a, lang: node, handler: ./stack.yml }\n'),
      ['5:39 handler of a is "./stack.yml", which is a file, not a folder'],
    ],
    [
      'a build secret that is missing',
      stack('  a: { image: a, lang: node, handler: ., build_secrets: { k: f } }\n'),
      ['5:62 build_secrets.k of a is "f", which is not a file'],
    ],
    [
      'a copy of the root',
      stack('  a: { image: a }\n', 'configuration: { copy: [.] }\n'),
      ['4:25 configuration.copy[0] is ".", which is the working directory itself'],
    ],
    [
      'a copy of a folder beside',
      stack('  a: { image: a }\n', 'configuration: { copy: [a/../../b] }\n'),
      ['4:25 configuration.copy[0] is "a/../../b", which is outside of the working directory'],
    ],
    [
      'a copy that is missing, in a build',
      stack('  a: { image: a, lang: node, handler: . }\n', 'configuration: { copy: [common] }\n'),
      ['4:25 configuration.copy[0] is "common", which does not exist'],
    ],
    [
      'an alias of nothing',
      stack('  a: { image: *x }\n'),
      ['5:8 image of a is empty', '5:15 *x names nothing'],
    ],
    [
      'an unclosed substitution',
      stack('  a:\n    image: ${X\n'),
      ['6:12 "${X" is not a complete substitution'],
    ],
    [
      'an environment file that is a folder',
      stack('  a: { image: a, environment_file: [.] }\n'),
      ['5:37 environment_file[0] of a is ".", which is a folder, not a file'],
    ],
  ])('%s', async (_, text, expected) => {
    expect(await mistakes(read(await project({ 'stack.yml': text })))).toEqual(expected)
  })

  test.each([
    ['empty', '', '1:1 the file is empty'],
    ['of the shell’s kind', 'A=1\nB=2\n', '1:1 the file is a text'],
    ['broken', 'environment:\n  A: "x\n', '2:6 not YAML: missing closing quote'],
    ['broken far above its end', "environment:\n  A: 'x\n  B: y\n", '2:6 not YAML: missing closing quote'],
    ['with an unknown field', 'environment: {}\nsecrets: []\n', '2:1 unknown field "secrets"'],
    ['without the field', 'x-note: 1\n', '1:1 environment is missing'],
  ])('in an environment file that is %s', async (_, text, expected) => {
    const root = await project({
      'stack.yml': stack('  a: { image: a, environment_file: [e.yml] }\n'),
      'e.yml': text,
    })
    expect(await mistakes(read(root))).toEqual([expected])
    const error = await stackError(read(root))
    expect(error.mistakes[0]?.file).toBe(join(root, 'e.yml'))
    expect(error.inputs).toEqual([join(root, 'stack.yml'), join(root, 'e.yml')])
  })

  test('of an environment file that two functions name are told once', async () => {
    const functions =
      '  a: { image: a, environment_file: [e.yml] }\n  b: { image: b, environment_file: [e.yml] }\n'
    const root = await project({ 'stack.yml': stack(functions), 'e.yml': 'environment: []\n' })
    expect(await mistakes(read(root))).toEqual(['1:14 environment is an empty list'])
  })

  test('have places in the file as written, behind values of many lines', async () => {
    const text = `# \${LONG}\n${stack('  a:\n    fprocess: ${SHORT}\n    image: ${X:-a} # ${LONG}\n    limits: {memory: ${M}}\n')}`
    const root = await project({ 'stack.yml': text })
    const env = { LONG: 'x\n# x\n# x', SHORT: 's', M: '12 quarts' }
    expect(await mistakes(read(root, { env }))).toEqual(['9:22 limits.memory of a is "12 quarts"'])
  })

  test('that follow from a misspelt field are not told', async () => {
    const root = await project({ 'stack.yml': stack('  a: { imgae: a, lagn: node, handler: . }\n') })
    expect(await mistakes(read(root))).toEqual([
      '5:8 unknown field "imgae" in function a',
      '5:18 unknown field "lagn" in function a',
    ])
  })

  test('of paths are told only for selected functions, and only when something is built', async () => {
    const functions =
      '  a: { image: a }\n  b: { image: b, lang: node, handler: ./b, environment_file: [b.yml] }\n'
    const root = await project({ 'stack.yml': stack(functions) })
    expect((await read(root, { filter: 'a' })).functions).toHaveLength(1)
    expect(await mistakes(read(root))).toHaveLength(2)
    await writeFile(join(root, 'b.yml'), 'environment: { B: 1 }')
    expect((await read(root, { paths: 'trust' })).functions[1]?.spec.envVars).toEqual({ B: '1' })
  })

  test('include bytes that are not UTF-8', async () => {
    const root = await project({})
    await writeFile(join(root, 'stack.yml'), Buffer.from(stack('  a: { image: a } # caf\xe9\n'), 'latin1'))
    expect(await mistakes(read(root))).toEqual(['5:24 this is not UTF-8 text'])
  })
})

describe('the root of relative paths', () => {
  const text = stack('  a: { image: a, lang: node, handler: ./a, environment_file: [e.yml] }\n')
  const env = 'environment: { A: 1 }\n'

  test('is the working directory when the handlers are there', async () => {
    const cwd = await project({ 'app/stack.yml': text, 'app/a/': '', 'a/': '', 'e.yml': env })
    const { root, functions } = await read(cwd, {}, 'app/stack.yml')
    expect(root).toBe(cwd)
    expect(functions[0]?.source?.handler).toBe(join(cwd, 'a'))
  })

  test('is the folder of the stack file when they are only there', async () => {
    const cwd = await project({ 'app/stack.yml': text, 'app/a/': '', 'app/e.yml': env })
    const { root, functions } = await read(cwd, {}, 'app/stack.yml')
    expect(root).toBe(join(cwd, 'app'))
    expect(functions[0]?.source?.root).toBe(join(cwd, 'app'))
    expect(functions[0]?.spec.envVars).toEqual({ A: '1' })
  })

  test('is the folder of the stack file where one handler of several is missing there and all are in the other', async () => {
    const two = stack(
      '  a: { image: a, lang: node, handler: ./a }\n  b: { image: b, lang: node, handler: ./b }\n',
    )
    const cwd = await project({ 'app/stack.yml': two, 'app/a/': '' })
    expect(await mistakes(read(cwd, {}, 'app/stack.yml'))).toEqual([
      '6:39 handler of b is "./b", which does not exist',
    ])
  })

  test('is found by the environment files when there are no handlers', async () => {
    const images = stack('  a: { image: a, environment_file: [e.yml] }\n')
    const cwd = await project({ 'app/stack.yml': images, 'app/e.yml': env })
    expect((await read(cwd, {}, 'app/stack.yml')).root).toBe(join(cwd, 'app'))
  })
})

describe('a selection', () => {
  const text = stack('  m-search: { image: a }\n  m-notice: { image: b }\n  pinyin: { image: c }\n')
  const names = async (options: Partial<ReadStackOptions>): Promise<string[]> =>
    (await read(await project({ 'stack.yml': text }), options)).functions.map(({ spec }) => spec.name)

  test.each([
    [{ filter: '*search' }, ['m-search']],
    [{ filter: 'm-*' }, ['m-search', 'm-notice']],
    [{ filter: 'pinyin' }, ['pinyin']],
    [{ filter: '*' }, ['m-search', 'm-notice', 'pinyin']],
    [{ filter: '' }, ['m-search', 'm-notice', 'pinyin']],
    [{ regex: '^m-' }, ['m-search', 'm-notice']],
    [{ regex: 'n.i' }, ['pinyin']],
  ])('%j', async (options, expected) => expect(await names(options)).toEqual(expected))

  test.each([
    [{ filter: 'a', regex: 'b' }, /at once/, /one of them/],
    [{ regex: '(' }, /not a regular expression/, /--filter/],
    [
      { filter: 'serch' },
      /no function of the stack file matches --filter "serch"/,
      /m-search, m-notice, pinyin/,
    ],
    [{ filter: 'pinjin' }, /matches --filter/, /Did you mean "pinyin"\?/],
    [{ regex: 'xyz' }, /matches --regex "xyz"/, /The functions are/],
    [{ filter: 'm.search' }, /no function/, /m-search/],
  ])('%j is refused', async (options, message, remedy) => {
    const error = await failure(names(options))
    expect(error.code).toBe('BAD_USAGE')
    expect(error.message).toMatch(message)
    expect(error.remedy).toMatch(remedy)
  })
})

describe('the file', () => {
  test('is stack.yaml, then stack.yml', async () => {
    const root = await project({ 'stack.yaml': '', 'stack.yml': '' })
    expect(await findStackFile(root)).toBe(join(root, 'stack.yaml'))
    await rm(join(root, 'stack.yaml'))
    expect(await findStackFile(root)).toBe(join(root, 'stack.yml'))
  })

  test('has to be named when it has another name', async () => {
    const nothing = await failure(findStackFile(await project({})))
    expect(nothing.remedy).toContain('faasdock new NAME --lang node22')
    const error = await failure(findStackFile(await project({ 'mobile.yml': '' })))
    expect(error.code).toBe('BAD_USAGE')
    expect(error.remedy).toContain('"-f mobile.yml"')
    const files = { 'env.yml': 'environment:\n  A: b\n', 'mobile.yml': IMAGE_ONLY }
    expect((await failure(findStackFile(await project(files)))).remedy).toContain('"-f mobile.yml"')
  })

  test('that is missing or a folder is told, with the one that was meant', async () => {
    const root = await project({ 'mobile.yml': IMAGE_ONLY })
    const missing = await failure(read(root, {}, 'mobil.yml'))
    expect(missing.code).toBe('FILE_NOT_READABLE')
    expect(missing.message).toContain('mobil.yml does not exist')
    expect(missing.remedy).toContain('mobile.yml')
    expect((await failure(read(root, {}, '.'))).message).toContain('is a folder')
  })

  test('may be an address; relative paths then start in the working directory', async () => {
    const text = stack('  a: { image: a, lang: node, handler: ./a }\n')
    using server = await serve((path) => (path === '/stack.yml' ? text : undefined))
    const root = await project({ 'a/': '' })
    const result = await read(root, {}, `${server.url}/stack.yml`)
    expect(result).toMatchObject({ file: `${server.url}/stack.yml`, root, inputs: [] })
    const gone = await failure(read(root, {}, `${server.url}/gone.yml`))
    expect(gone.code).toBe('FILE_NOT_READABLE')
    expect(gone.message).toContain('404')
  })

  test('behind an address that nobody answers is told with the reason', async () => {
    const server = await serve(() => undefined)
    server[Symbol.dispose]()
    const error = await failure(read('/', {}, `${server.url}/stack.yml`))
    expect(error.code).toBe('FILE_NOT_READABLE')
    expect(error.message).toContain('ECONNREFUSED')
  })
})

test('two hundred functions are read in a moment', async () => {
  const names = Array.from({ length: 200 }, (_, index) => `fn-${index}`)
  const functions = names.map(
    (name) => `  ${name}:
    lang: node
    handler: ./${name}
    image: ${name}:\${TAG:-latest}
    environment: { A: 1 }
    labels:
      com.openfaas.scale.min: 1
    limits:
      memory: 128Mi
`,
  )
  const root = await project({
    'stack.yml': stack(functions.join('')),
    ...Object.fromEntries(names.map((name) => [`${name}/`, ''])),
  })
  const times: number[] = []
  for (let run = 0; run < 5; run++) {
    const start = performance.now()
    expect((await read(root)).functions).toHaveLength(200)
    times.push(performance.now() - start)
  }
  // Tens of milliseconds; the limit only catches what grows with the square, on a busy machine too.
  expect(Math.min(...times)).toBeLessThan(400)
})

async function serve(
  answer: (path: string) => string | undefined,
): Promise<Disposable & { readonly url: string }> {
  const server = createServer((request, response) => {
    const body = answer(request.url ?? '')
    response.writeHead(body === undefined ? 404 : 200).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.dispose]: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
