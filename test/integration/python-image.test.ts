// What the Python template makes of dependencies, tests and users: images of its Dockerfile, built by both builders.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { TestContext } from 'vitest'
import { describeDocker, dockerAvailable } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import {
  assemble,
  build,
  buildKit,
  docker,
  removeAll,
  start,
  tag,
  tryBuild,
  unique,
} from './templates/images.ts'

const echo = 'def handle(req):\n    return req\n'

afterAll(async () => {
  if (dockerAvailable) await removeAll()
})

describeDocker('packages of a Python function', () => {
  const uses = (...names: string[]): string =>
    `import ${names.join(', ')}\ndef handle(req):\n    return "imported"\n`
  const project = (text: string): Record<string, string> => ({ 'pyproject.toml': text })

  it.each([
    ['requirements.txt', { 'requirements.txt': 'six==1.16.0\n' }, ['six']],
    [
      'pyproject.toml',
      project('[project]\nname = "x"\nversion = "1"\ndependencies = ["six==1.16.0"]\n'),
      ['six'],
    ],
    [
      'both',
      {
        ...project('[project]\nname = "x"\ndependencies = ["six"]\n'),
        'requirements.txt': 'idna\nsix==1.16.0\n',
      },
      ['six', 'idna'],
    ],
    ['a pyproject.toml that is only for tools', project('[tool.ruff]\nline-length = 100\n'), ['sys']],
    ['neither', {}, ['sys']],
  ])('come from %s', async (_, files, names) => {
    await build(
      { template: 'python3', handler: { ...files, 'handler.py': uses(...names) } },
      tag('py-packages'),
    )
    await using container = await start(tag('py-packages'))
    expect((await container.call()).body).toBe('imported\n')
  })

  it.each([
    [
      'Poetry alone',
      '[tool.poetry]\nname = "x"\n[tool.poetry.dependencies]\nsix = "*"\n',
      /has \[tool\.poetry\] and no \[project\][\s\S]*dependencies = \["…"\][\s\S]*poetry export/,
    ],
    [
      'dynamic dependencies',
      '[project]\nname = "x"\ndynamic = ["dependencies"]\n',
      /dynamic = \["dependencies"\]/,
    ],
    [
      'another Python',
      '[project]\nname = "x"\nrequires-python = ">=4"\n',
      /asks for Python >=4, and this is 3\.\d+\.\d+\. Set build_args: PYTHON_VERSION/,
    ],
    ['no TOML', '[project\n', /pyproject\.toml is no TOML/],
    [
      'a package that is nowhere',
      '[project]\nname = "x"\ndependencies = ["six==0.0.999"]\n',
      /No matching distribution found for six==0\.0\.999/,
    ],
  ])('are refused clearly where pyproject.toml has %s', async (_, text, message) => {
    await using folder = await assemble({
      template: 'python3',
      handler: { ...project(text), 'handler.py': echo },
    })
    const { code, output } = await tryBuild(folder.path, tag('py-refused'))
    expect(code).not.toBe(0)
    expect(output).toMatch(message)
  })

  it('come from the index that a build argument names', async () => {
    const handler = { 'handler.py': echo, 'requirements.txt': 'six\n' }
    await using folder = await assemble({ template: 'python3', handler })
    const { code, output } = await tryBuild(folder.path, tag('py-index'), {
      PIP_INDEX_URL: 'file:///nowhere',
    })
    expect(code).not.toBe(0)
    expect(output).toContain('Looking in indexes: file:///nowhere')
  })

  it('come from where the build secret pip.conf says, which is in no layer', async ({ skip }) => {
    const withBuildKit = await buildKit()
    if (withBuildKit === undefined) return skip('no docker CLI here can drive BuildKit')
    const handler = { 'handler.py': echo, 'requirements.txt': `# ${unique}\nsix\n` }
    await using folder = await assemble({ template: 'python3', handler })
    await using secret = await makeFolder({ 'pip.conf': `[global]\nindex-url = file:///nowhere\n` })
    const flags = ['--secret', `id=pip.conf,src=${join(secret.path, 'pip.conf')}`]
    const refused = await withBuildKit(folder.path, tag('py-secret'), flags)
    expect(refused.code).not.toBe(0)
    expect(refused.output).toContain('Looking in indexes: file:///nowhere')
    await writeFile(join(secret.path, 'pip.conf'), `[global]\ntimeout = 59\n`)
    const built = await withBuildKit(folder.path, tag('py-secret'), flags)
    expect(built.code, built.output).toBe(0)
    await using container = await start(tag('py-secret'))
    expect(
      await container.exec('sh', '-c', 'cat /run/secrets/pip.conf /root/.netrc 2>&1 || true'),
    ).not.toContain('timeout')
  })

  const edit = { 'handler.py': `${echo}# ${unique}\n`, 'lib.py': `# ${unique}\n` }
  it('are not installed again when code is edited, classic builder', async () => {
    const handler = { 'handler.py': echo, ...project('[project]\nname = "x"\ndependencies = ["six"]\n') }
    await using folder = await assemble({ template: 'python3', handler })
    const first = await tryBuild(folder.path, tag('py-cache'))
    expect(first.code, first.output).toBe(0)
    await folder.write(edit)
    const second = await tryBuild(folder.path, tag('py-cache'))
    expect(second.output).toMatch(/install\.py "\$CONTRACT"\n ---> Using cache/)
    expect(second.output).not.toMatch(
      /compileall -qq -f --invalidation-mode checked-hash[^\n]*\n ---> Using cache/,
    )
  })

  it('are not installed again when code is edited, BuildKit', async ({ skip }) => {
    const withBuildKit = await buildKit()
    if (withBuildKit === undefined) return skip('no docker CLI here can drive BuildKit')
    const handler = { 'handler.py': echo, ...project('[project]\nname = "x"\ndependencies = ["six"]\n') }
    await using folder = await assemble({ template: 'python3', handler })
    const first = await withBuildKit(folder.path, tag('py-cache-buildkit'))
    expect(first.code, first.output).toBe(0)
    await folder.write(edit)
    const { code, output } = await withBuildKit(folder.path, tag('py-cache-buildkit'))
    expect(code, output).toBe(0)
    const step = /^#(\d+) \[dependencies .*install\.py/m.exec(output)?.[1] ?? 'none'
    expect(output).toMatch(new RegExp(`^#${step} CACHED`, 'm'))
  })
})

describeDocker('the image of a Python function', () => {
  describe('tests in the build', () => {
    it.each([
      [
        'runs TEST_COMMAND, and fails with it',
        { TEST_COMMAND: 'echo tests ran; exit 4' },
        /tests ran/,
        false,
      ],
      [
        'goes on where it succeeds',
        { TEST_COMMAND: 'python3 -c "from handler import handle; print(handle(40) + 2)"' },
        /\n ?42\n/,
        true,
      ],
      ['runs none where TEST_ENABLED is false', { TEST_ENABLED: 'false', TEST_COMMAND: 'exit 4' }, /./, true],
    ])('%s', async (_, args, message, fine) => {
      await using folder = await assemble({
        template: 'python3',
        handler: { 'handler.py': `${echo}# ${unique}\n` },
      })
      const { code, output } = await tryBuild(folder.path, tag('py-tested'), args)
      expect(code === 0, output).toBe(fine)
      expect(output).toMatch(message)
    })

    describe.each(['classic builder', 'BuildKit'])('syntax, %s', (builder) => {
      async function outcome(files: Readonly<Record<string, string>>, { skip }: TestContext) {
        await using folder = await assemble({ template: 'python3', handler: files })
        if (builder === 'classic builder') {
          return await tryBuild(folder.path, tag('py-syntax'), { TEST_ENABLED: 'false' })
        }
        const withBuildKit = await buildKit()
        if (withBuildKit === undefined) return skip('no docker CLI here can drive BuildKit')
        return await withBuildKit(folder.path, tag('py-syntax'))
      }
      const broken = 'x = 1\ndef handle(:\n'

      it.for<readonly [string, Readonly<Record<string, string>>, RegExp]>([
        ['the handler', { 'handler.py': broken }, /File "handler\.py", line 2[\s\S]*SyntaxError: /],
        [
          'what it imports',
          { 'handler.py': `from . import b\n${echo}`, 'b.py': broken },
          /File "b\.py", line 2/,
        ],
        [
          'what that imports',
          {
            'handler.py': `from .p.q import x\n${echo}`,
            'p/q.py': 'from ..b import c\nx = 1\n',
            'b.py': broken,
          },
          /File "b\.py", line 2/,
        ],
        ['the package', { 'handler.py': echo, '__init__.py': broken }, /File "__init__\.py", line 2/],
        ['a NUL byte', { 'handler.py': `${echo}\0\n` }, /File "handler\.py"[\s\S]*null bytes/],
        ['what only the compiler sees', { 'handler.py': `${echo}return 1\n` }, /File "handler\.py", line 3/],
      ])('fails in %s, with file and line', async ([, files, message], context) => {
        const { code, output } = await outcome(files, context)
        expect(code, output).not.toBe(0)
        expect(output).toMatch(message)
      })

      it('is only warned of in files that loading does not reach', async (context) => {
        const files = {
          'handler.py': `import os\nif os.environ.get("OLD"):\n    from . import old\n${echo}# ${unique}\n`,
          'old.py': 'print "two"\n',
          'samples/{{ name }}.py': 'class {{ name }}:\n',
        }
        const { code, output } = await outcome(files, context)
        expect(code, output).toBe(0)
        expect(output).toMatch(/warning: old\.py:1: Missing parentheses/)
        expect(output).toMatch(/warning: samples\/\{\{ name \}\}\.py:1: /)
      })
    })

    it('runs tox where there is a tox.ini', async () => {
      const tox = '[tox]\nskipsdist = true\nenvlist = it\n[testenv:it]\ncommands = python -c "print(6 * 7)"\n'
      const handler = { 'handler.py': `${echo}# ${unique}\n`, 'tox.ini': tox }
      await using folder = await assemble({ template: 'python3', handler })
      const { code, output } = await tryBuild(folder.path, tag('py-tox'))
      expect(code, output).toBe(0)
      expect(output).toMatch(/^42$/m)
      await using container = await start(tag('py-tox'))
      expect(await container.exec('ls', '-A', 'function')).not.toContain('.tox')
    })
  })

  it('runs as anybody, and needs nothing to write to', async () => {
    await build(
      {
        template: 'python3',
        handler: {
          'handler.py': 'import getpass, os\ndef handle(req):\n    return f"{os.getuid()} {req}"\n',
        },
      },
      tag('py-user'),
    )
    await using own = await start(tag('py-user'))
    expect((await own.call({ method: 'POST', body: 'x' })).body).toBe('1000 x\n')
    expect(await own.exec('python3', '-c', 'import getpass; print(getpass.getuser())')).toMatch(/\w/)
    await using other = await start(tag('py-user'), { flags: ['--user', '4711'] })
    expect((await other.call({ method: 'POST', body: Buffer.alloc(2_000_000, 'x') })).body.length).toBe(
      2_000_006,
    )
    await using bare = await start(tag('py-user'), {
      flags: ['--user', '4711:4711', '--tmpfs', '/tmp:size=1m,mode=0000'],
    })
    // More than a folder for temporary files has room for.
    for (const size of [1, 2_000_000]) {
      expect((await bare.call({ method: 'POST', body: Buffer.alloc(size, 'x') })).body.length).toBe(size + 6)
    }
  })

  it('is labelled, and has no byte code that could outlive its source', async () => {
    const stale = { 'handler.py': echo, '__pycache__/handler.cpython-311.pyc': 'stale' }
    await build({ template: 'python3', handler: stale }, tag('py-labels'))
    const labels = await docker('inspect', '--format', '{{json .Config.Labels}}', tag('py-labels'))
    expect(JSON.parse(labels)).toMatchObject({
      'com.faasdock.template': 'python3',
      'com.faasdock.template.version': '3.12',
    })
    await using container = await start(tag('py-labels'))
    expect((await container.call({ method: 'POST', body: 'x' })).body).toBe('x\n')
    const flags = `import glob\nprint([open(p, "rb").read()[4] for p in glob.glob("function/__pycache__/*.pyc")])`
    expect(await container.exec('python3', '-c', flags)).toBe('[3, 3]')
  })
})
