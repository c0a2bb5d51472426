import { describe, expect, test } from 'vitest'
import { dockerfileRules } from './dockerfile-rules.ts'
import type { FileEntry } from './tree.ts'

type Files = Readonly<Record<string, string>>

const STAMP = { size: 1, mtimeNs: 1n, ctimeNs: 1n, ino: 1n }

interface Options {
  readonly handlerFolder?: string
  readonly args?: Readonly<Record<string, string>>
  readonly modes?: Readonly<Record<string, number>>
}

/** Where each file of the handler goes in the image; `build` for what takes one, `-` for what no image has. */
async function places(
  dockerfile: string,
  files: Files,
  { handlerFolder = 'function', args = {}, modes = {} }: Options = {},
): Promise<Record<string, string>> {
  const entries = Object.keys(files).map((path): FileEntry => ({
    kind: 'file',
    path,
    mode: modes[path] ?? 0o644,
    file: path,
    stamp: STAMP,
  }))
  const rules = await dockerfileRules(
    { dockerfile, args, entries, fileHashes: new Map(), handlerFolder },
    ({ path }) => Promise.resolve(files[path] ?? ''),
  )
  if (rules) expect(rules.way).toBe('files')
  const own = entries.filter(({ path }) => handlerFolder === '' || path.startsWith(`${handlerFolder}/`))
  return Object.fromEntries(
    own.map((entry) => {
      const found = rules?.place(entry)?.at
      const at = found
        ?.map((path) => `${rules?.folder === '/' ? '' : String(rules?.folder)}/${path}`)
        .join(' ')
      return [
        entry.path.slice(handlerFolder === '' ? 0 : handlerFolder.length + 1),
        found ? at || '-' : 'build',
      ]
    }),
  )
}

/** Dockerfiles of our own in the manner of the templates that people use. */
const NODE = `
FROM registry.example/watchdog:1 AS dog
FROM --platform=\${TARGETPLATFORM:-linux/amd64} node:20-alpine AS final
COPY --from=dog /dog /usr/bin/dog
RUN chmod +x /usr/bin/dog && apk --no-cache add curl && addgroup -S app && adduser -S -g app app
ENV NPM_CONFIG_LOGLEVEL warn
USER app
RUN mkdir -p /srv/fn
WORKDIR /srv
COPY --chown=app:app package.json ./
RUN npm i
COPY --chown=app:app index.js ./
WORKDIR /srv/fn
COPY --chown=app:app function/*.json ./
RUN npm i
COPY --chown=app:app function/ ./
RUN npm test
WORKDIR /srv
ENV fprocess="node index.js"
CMD ["dog"]
`
const NODE_FILES = {
  Dockerfile: NODE,
  'package.json': '{"dependencies":{"express":"4"}}',
  'index.js': '',
  'function/package.json': '{"scripts":{"test":"echo none && exit 0"},"dependencies":{"left-pad":"1"}}',
  'function/handler.js': '',
  'function/config.json': '{}',
  'function/lib/a.js': '',
}

const PYTHON = `
ARG PYTHON_VERSION=3.12
FROM registry.example/watchdog:1 AS dog
FROM python:\${PYTHON_VERSION}-alpine AS build
COPY --from=dog /dog /usr/bin/dog
ARG ADDITIONAL_PACKAGE
RUN if [ "\${X}" = "true" ] || [ "\${X}" = "1" ]; then apk --no-cache upgrade; fi && \\
    apk --no-cache add \${ADDITIONAL_PACKAGE}
RUN addgroup -S app && adduser app -S -G app
WORKDIR /srv/
COPY --chown=app:app index.py           .
COPY --chown=app:app requirements.txt   .
RUN pip install --no-cache-dir -r requirements.txt
RUN mkdir -p fn
RUN touch ./fn/__init__.py
WORKDIR /srv/fn/
COPY --chown=app:app function/requirements.txt	.
RUN pip install --no-cache-dir --user -r requirements.txt
USER root
COPY --chown=app:app function/   .
FROM build AS test
ARG TEST_COMMAND=tox
RUN [ "$TEST_ENABLED" = "false" ] && echo "no tests" || eval "$TEST_COMMAND"
FROM build AS final
WORKDIR /srv/
USER app
CMD ["dog"]
`
const PYTHON_FILES = {
  'index.py': '',
  'requirements.txt': 'flask',
  'function/requirements.txt': 'requests==2',
  'function/handler.py': '',
  'function/tox.ini': '',
  'function/pkg/x.py': '',
}

const PHP = `
FROM registry.example/watchdog:1 AS dog
FROM composer:2 AS composer
FROM php:8-alpine
COPY --from=composer /usr/bin/composer /usr/bin/composer
COPY --from=dog /dog /usr/bin/dog
RUN apk add --no-cache git
RUN mkdir -p /srv
WORKDIR /srv
COPY index.php ./
COPY ./function ./fn
WORKDIR /srv/fn
RUN [[ -f extension.sh ]] && sh ./extension.sh && \\
    chown -R app /srv
USER app
RUN [[ -f composer.lock || -f composer.json ]] && composer install --no-dev
USER root
RUN apk del git && \\
    { find /usr/local/lib -type f -print0 | xargs -0r strip --strip-all -p 2>/dev/null || true; }
USER app
CMD ["dog"]
`
const PHP_FILES = {
  'index.php': '',
  'function/extension.sh': '#!/bin/sh\n\necho "Installing"\ndocker-php-ext-install bcmath\n',
  'function/composer.json': '{"autoload":{"psr-4":{"App\\\\":"src/"}}}',
  'function/Handler.php': '',
}

const RUBY = `
FROM registry.example/watchdog:1 AS dog
FROM ruby:3-alpine
WORKDIR /app
COPY --from=dog /dog /usr/bin/dog
COPY Gemfile index.rb ./
RUN bundle install
WORKDIR /app/function
COPY function/Gemfile ./
RUN bundle config set --local without development && bundle install
WORKDIR /app
COPY function function
CMD ["dog"]
`

const GO = `
FROM golang:1.25-alpine AS build
WORKDIR /go/src/handler
COPY . .
RUN test -z "$(gofmt -l .)" || { echo "not formatted"; exit 1; }
WORKDIR /go/src/handler/function
RUN go test ./... -cover
WORKDIR /go/src/handler
RUN go build -o handler .
FROM alpine:3
WORKDIR /srv
COPY --from=build --chown=app /go/src/handler/handler .
COPY --from=build --chown=app /go/src/handler/function/static static
CMD ["./handler"]
`

describe('what a change of a handler takes', () => {
  test.each<[string, string, Files, Record<string, string>]>([
    [
      'Node behind a watchdog',
      NODE,
      NODE_FILES,
      {
        'package.json': 'build',
        'handler.js': '/srv/fn/handler.js',
        'config.json': '/srv/fn/config.json',
        'lib/a.js': '/srv/fn/lib/a.js',
      },
    ],
    [
      'Node behind a watchdog, all of it there before npm installs',
      NODE.replace('function/*.json', 'function/'),
      NODE_FILES,
      {
        'package.json': 'build',
        'handler.js': '/srv/fn/handler.js',
        'config.json': '/srv/fn/config.json',
        'lib/a.js': '/srv/fn/lib/a.js',
      },
    ],
    [
      'Node whose installation runs a script, all of it there before npm installs',
      NODE.replace('function/*.json', 'function/'),
      { ...NODE_FILES, 'function/package.json': '{"scripts":{"postinstall":"node gen"}}' },
      { 'package.json': 'build', 'handler.js': 'build', 'config.json': 'build', 'lib/a.js': 'build' },
    ],
    [
      'Node that is compiled by its tests',
      NODE,
      { ...NODE_FILES, 'function/package.json': '{"scripts":{"pretest":"tsc","test":"jest"}}' },
      { 'package.json': 'build', 'handler.js': 'build', 'config.json': 'build', 'lib/a.js': 'build' },
    ],
    [
      'Node that is compiled',
      NODE.replace('RUN npm test', 'RUN npm run build'),
      NODE_FILES,
      { 'package.json': 'build', 'handler.js': 'build', 'config.json': 'build', 'lib/a.js': 'build' },
    ],
    [
      'Python behind a watchdog',
      PYTHON,
      PYTHON_FILES,
      {
        'requirements.txt': 'build',
        'handler.py': '/srv/fn/handler.py',
        'tox.ini': '/srv/fn/tox.ini',
        'pkg/x.py': '/srv/fn/pkg/x.py',
      },
    ],
    [
      'Python whose requirements are in two files, all of it there before pip installs',
      PYTHON.replace('function/requirements.txt', 'function/'),
      { ...PYTHON_FILES, 'function/requirements.txt': '-r more.txt', 'function/more.txt': 'x # y' },
      {
        'requirements.txt': 'build',
        'more.txt': 'build',
        'handler.py': '/srv/fn/handler.py',
        'tox.ini': '/srv/fn/tox.ini',
        'pkg/x.py': '/srv/fn/pkg/x.py',
      },
    ],
    [
      'Python that installs itself',
      PYTHON.replace('function/requirements.txt', 'function/'),
      { ...PYTHON_FILES, 'function/requirements.txt': '-e ./pkg' },
      { 'requirements.txt': 'build', 'handler.py': 'build', 'tox.ini': 'build', 'pkg/x.py': 'build' },
    ],
    [
      'PHP behind a watchdog',
      PHP,
      PHP_FILES,
      { 'extension.sh': 'build', 'composer.json': 'build', 'Handler.php': '/srv/fn/Handler.php' },
    ],
    [
      'PHP whose autoloader is made of its sources',
      PHP,
      { ...PHP_FILES, 'function/composer.json': '{"autoload":{"classmap":["src/"]}}' },
      { 'extension.sh': 'build', 'composer.json': 'build', 'Handler.php': 'build' },
    ],
    [
      'Ruby behind a watchdog',
      RUBY,
      { Gemfile: '', 'index.rb': '', 'function/Gemfile': "gem 'rack'", 'function/handler.rb': '' },
      { Gemfile: 'build', 'handler.rb': '/app/function/handler.rb' },
    ],
    [
      'Go',
      GO,
      { 'main.go': '', 'function/handler.go': '', 'function/static/index.html': '' },
      { 'handler.go': 'build', 'static/index.html': 'build' },
    ],
  ])('%s', async (_, dockerfile, files, expected) => {
    expect(await places(dockerfile, files)).toEqual(expected)
  })

  const own = (dockerfile: string, files: Files, more = {}) =>
    places(dockerfile, { Dockerfile: dockerfile, ...files }, { handlerFolder: '', ...more })

  test.each<[string, string, Files, Record<string, string>]>([
    [
      'is copied whole',
      'FROM node:20\nWORKDIR /app\nCOPY . .\nRUN npm ci --omit=dev\nCMD ["node", "server.js"]',
      { 'server.js': '', 'package.json': '{}', 'package-lock.json': '' },
      { 'server.js': '/app/server.js', 'package.json': 'build', 'package-lock.json': 'build' },
    ],
    [
      'is copied by pattern into a folder',
      'FROM x\nWORKDIR /app\nCOPY *.py conf/*.y[a-m]? ./',
      { 'a.py': '', 'b.txt': '', 'lib/c.py': '', 'conf/d.yml': '' },
      { 'a.py': '/app/a.py', 'b.txt': '-', 'lib/c.py': '-', 'conf/d.yml': '/app/d.yml' },
    ],
    [
      'is copied to two places',
      'FROM x\nWORKDIR /app\nCOPY a.py /one/\nCOPY a.py two/a.py',
      { 'a.py': '' },
      { 'a.py': '/one/a.py /app/two/a.py' },
    ],
    [
      'is copied through a stage',
      'FROM x AS one\nWORKDIR /in\nCOPY . .\nRUN pytest && rm -rf /in/tests\nFROM y\nCOPY --from=one /in /out\n',
      { 'a.py': '', 'tests/t.py': '' },
      { 'a.py': '/out/a.py', 'tests/t.py': 'build' },
    ],
    [
      'is copied from a stage by its number',
      'FROM x\nWORKDIR /in\nCOPY src src\nFROM y\nCOPY --from=0 /in/src/a.py /out/a.py\n',
      { 'src/a.py': '', 'src/b.py': '' },
      { 'src/a.py': '/out/a.py', 'src/b.py': '-' },
    ],
    [
      'is what another stage, that the image does not need, compiles',
      'FROM x AS lint\nCOPY . /in\nRUN make\nFROM y\nCOPY . /in/\n',
      { 'a.py': '' },
      { 'a.py': '/in/a.py' },
    ],
    ['goes where only the base image knows', 'FROM x\nCOPY . .', { 'a.py': '' }, { 'a.py': 'build' }],
    [
      'goes to what may be a folder or not',
      'FROM x\nCOPY a.sh /usr/local/bin',
      { 'a.sh': '' },
      { 'a.sh': 'build' },
    ],
    ['goes where a variable says', 'FROM x\nARG TO=/srv\nWORKDIR $TO\nCOPY . .', { a: '' }, { a: '/srv/a' }],
    ['goes where nobody knows', 'FROM x\nWORKDIR /a\nCOPY . $NOWHERE/', { a: '' }, { a: 'build' }],
    [
      'is what a here-document runs over',
      'FROM x\nWORKDIR /app\nCOPY . .\nRUN <<EOF\nset -e\nnpm test\nmake\nEOF\n',
      { a: '' },
      { a: 'build' },
    ],
    [
      'is below what a harmless here-document runs over',
      'FROM x\nWORKDIR /app\nCOPY . .\nRUN <<EOF\nset -e\nfind . -type d -exec chmod 755 {} +\nEOF\n',
      { a: '' },
      { a: '/app/a' },
    ],
    [
      'is made a program',
      'FROM x\nWORKDIR /app\nCOPY . .\nRUN chmod +x run.sh && chown -R app .',
      { 'run.sh': '', 'a.sh': '' },
      { 'run.sh': 'build', 'a.sh': '/app/a.sh' },
    ],
    [
      'is bound into a step',
      'FROM x\nWORKDIR /app\nRUN --mount=type=bind,source=.,target=/src make\nCOPY . .',
      { a: '' },
      { a: 'build' },
    ],
    [
      'may be replaced by what a stage has made',
      'FROM x AS made\nRUN make-it\nFROM y\nWORKDIR /app\nCOPY . .\nCOPY --from=made /out/ ./gen/',
      { 'a.py': '', 'gen/b.py': '' },
      { 'a.py': '/app/a.py', 'gen/b.py': 'build' },
    ],
    [
      'is an archive that ADD unpacks',
      'FROM x\nWORKDIR /app\nADD . .\n ADD x.tgz .',
      { 'a.py': '', 'x.tgz': '' },
      { 'a.py': '/app/a.py', 'x.tgz': 'build' },
    ],
    ['is in a volume', 'FROM x\nWORKDIR /app\nCOPY . .\nVOLUME /app', { a: '' }, { a: 'build' }],
    [
      'is copied by a base that copies',
      'FROM x AS base\nONBUILD COPY . /app\nFROM base',
      { a: '' },
      { a: 'build' },
    ],
    [
      'is written in exec form',
      'FROM x\nWORKDIR /app\nCOPY ["a b.py", "./"]\nRUN ["npm", "--version"]',
      { 'a b.py': '' },
      { 'a b.py': '/app/a b.py' },
    ],
  ])('a function of its own Dockerfile that %s', async (_, dockerfile, files, expected) => {
    expect(await own(dockerfile, files)).toEqual({ Dockerfile: 'build', ...expected })
  })

  test.each([
    'make',
    'go build -o x .',
    'cargo build --release',
    'mvn package',
    'gradle build',
    'dotnet publish',
    'tsc',
    'npm run build',
    'python setup.py install',
    'pip install .',
    'node build.js',
    'node latest.js',
    'python contest.py',
    'sh unknown.sh',
    'xargs apt-get install -y < packages.txt',
    'sed -i s/a/b/ handler.py',
    'black .',
    'eslint --fix .',
    'find . -name "*.py" -exec sed -i s/a/b/ {} +',
    'cd $WHERE && npm i',
    'echo $(cat handler.py) > version',
    'cp handler.py other.py',
    'chmod -R 755 .',
    'for f in *; do echo $f; done',
  ])('a step that may make something of it takes a build: %s', async (step) => {
    const files = { 'handler.py': '', 'package.json': '{}' }
    const found = await own(`FROM x\nWORKDIR /app\nCOPY . .\nRUN ${step}`, files)
    expect(found['handler.py']).toBe('build')
  })

  test.each([
    'npm ci',
    'cd /app && npm install --omit=dev && npm cache clean --force',
    'yarn install --frozen-lockfile',
    'npm test',
    'pytest -q',
    'python -m unittest',
    'python3 test_handler.py',
    'if [ -f server.test.js ]; then node server.test.js; fi',
    'node --check server.js',
    'python -m pip install -r requirements.txt',
    'pip install flask gunicorn',
    'npm i -g nodemon',
    'chown -R app:app /app',
    'find /app -type d -exec chmod 777 {} \\;',
    'apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*',
    '[ "$TEST" = false ] && echo none || eval "$TEST_COMMAND"',
    'bundle install',
    'true',
    'mkdir -p /data && touch /data/x',
    'black --check . && eslint . && flake8',
  ])('a step that makes nothing of it does not: %s', async (step) => {
    const files = {
      'handler.py': '',
      'package.json': '{"scripts":{"test":"jest"}}',
      'requirements.txt': 'x',
      Gemfile: '',
    }
    const dockerfile = `FROM x\nARG TEST_COMMAND=tox\nWORKDIR /app\nCOPY . .\nRUN ${step}`
    expect((await own(dockerfile, files))['handler.py']).toBe('/app/handler.py')
  })

  test('a file that not everybody may read takes a build, as it would be root’s', async () => {
    const found = await own('FROM x\nCOPY . /a/', { a: '', b: '' }, { modes: { b: 0o600 } })
    expect(found).toEqual({ Dockerfile: 'build', a: '/a/a', b: 'build' })
  })
})
