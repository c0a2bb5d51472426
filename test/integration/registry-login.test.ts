import { randomBytes } from 'node:crypto'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createImageBuilder } from '../../src/builder/image-builder.ts'
import { findBuildkitClient } from '../../src/docker/buildkit-client.ts'
import { makeEngine } from '../../src/docker/client.ts'
import type { Engine } from '../../src/docker/client.ts'
import { formatEngineAddress } from '../../src/docker/engine-address.ts'
import { resolveImage } from '../../src/docker/pull.ts'
import { pushImage } from '../../src/docker/push.ts'
import { readRegistryConfig } from '../../src/docker/registry-config.ts'
import { makeProject } from '../contract/builder.contract.ts'
import { describeDocker, dockerAddress } from '../support/docker.ts'
import { makeFolder } from '../support/folder.ts'
import type { TestFolder } from '../support/folder.ts'
import { startPrivateRegistry } from '../support/private-registry.ts'
import type { PrivateRegistry } from '../support/private-registry.ts'
import { describeWithTools } from '../support/tools.ts'

const never = new AbortController().signal
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const BASE = 'node:20-alpine'
/** This run's own images, also those without a name that builds leave. */
const SUITE = `login-${randomBytes(4).toString('hex')}`

type Env = Record<string, string | undefined>

describeDocker('images of a registry that asks for a login', () => {
  describeWithTools('a real docker-registry', ['docker-registry'], () => {
    let engine: Engine
    let architecture: string
    let folder: TestFolder
    let registry: PrivateRegistry
    let image: string
    const made = new Set<string>()

    beforeAll(async () => {
      engine = makeEngine(dockerAddress())
      architecture = (await engine.version()).Arch
      folder = await makeFolder()
      registry = await startPrivateRegistry(join(folder.path, 'registry'))
      image = name('app')
      await engine.getImage(BASE).tag({ repo: image.slice(0, -2), tag: '1' })
    })
    afterAll(async () => {
      for (const one of made)
        await engine
          .getImage(one)
          .remove()
          .catch(() => undefined)
      const filters = { label: [`com.faasdock.test.suite=${SUITE}`] }
      // Images go before those they are made of, so it takes some rounds.
      for (let round = 0; round < 4; round++)
        for (const { Id } of await engine.listImages({ filters }))
          await engine
            .getImage(Id)
            .remove({ force: true })
            .catch(() => undefined)
      await registry[Symbol.asyncDispose]()
      await folder[Symbol.asyncDispose]()
    })

    function name(short: string): string {
      const whole = `${registry.host}/faasdock-test/${short}-${randomBytes(3).toString('hex')}:1`
      made.add(whole)
      return whole
    }

    /** A user whose Docker configuration says that, with helpers on PATH. */
    async function user(config: object, helpers: Record<string, string> = {}): Promise<Env> {
      const home = join(folder.path, randomBytes(4).toString('hex'))
      await mkdir(join(home, 'bin'), { recursive: true })
      await writeFile(join(home, 'config.json'), JSON.stringify(config))
      for (const [helper, script] of Object.entries(helpers)) {
        await writeFile(join(home, 'bin', `docker-credential-${helper}`), script)
        await chmod(join(home, 'bin', `docker-credential-${helper}`), 0o755)
      }
      return {
        ...process.env,
        DOCKER_CONFIG: home,
        PATH: `${join(home, 'bin')}:${process.env['PATH'] ?? ''}`,
      }
    }

    const login = (password = registry.password): object => ({
      auths: { [registry.host]: { auth: base64(`${registry.user}:${password}`) } },
    })

    const helper = (): string => `#!/bin/sh
read -r asked
[ "$asked" = "${registry.host}" ] || { echo 'credentials not found in native keychain'; exit 1; }
echo '{"ServerURL":"${registry.host}","Username":"${registry.user}","Secret":"${registry.password}"}'
`

    const push = async (env: Env): Promise<void> =>
      pushImage(engine, image, await readRegistryConfig(env), () => undefined, never)

    const pull = (env: Env, wanted = image): Promise<string> =>
      resolveImage(engine, wanted, {
        architecture,
        registryConfig: () => readRegistryConfig(env),
        signal: never,
      })

    /** Makes the engine forget the image, so that it has to be pulled. */
    const forget = (wanted = image): Promise<unknown> =>
      engine
        .getImage(wanted)
        .remove()
        .catch(() => undefined)

    test('are pushed and pulled with the login of the Docker configuration; local ones without asking', async () => {
      const me = await user(login())
      await push(me)
      const id = await pull(me)
      await forget()
      const before = registry.requests()
      expect(await pull(me)).toBe(id)
      expect(registry.requests()).toBeGreaterThan(before)
      // Now it is here: nobody is asked, not even with a login that is wrong.
      const after = registry.requests()
      expect(await pull(await user(login('wrong')))).toBe(id)
      expect(registry.requests()).toBe(after)
    })

    test.each(['credsStore', 'credHelpers'])('are pulled with a login that %s keeps', async (kind) => {
      await push(await user(login()))
      await forget()
      const config =
        kind === 'credsStore'
          ? { auths: { [registry.host]: {} }, credsStore: 'keys' }
          : { credHelpers: { [registry.host]: 'keys' } }
      expect(await pull(await user(config, { keys: helper() }))).toMatch(/^sha256:/)
    })

    test.each([
      ['no login', () => ({})],
      ['a wrong password', () => login('wrong')],
    ])(
      'are refused with %s: status, words and what to do are told, the password is not',
      async (_what, config) => {
        const me = await user(config())
        await push(await user(login()))
        for (const [doing, work] of [
          ['push', () => push(me)],
          ['pull', () => pull(me)],
        ] as const) {
          if (doing === 'pull') await forget()
          const failure: unknown = await work().then(
            () => 'no failure',
            (error: unknown) => error,
          )
          expect(failure).toMatchObject({
            code: 'REGISTRY_DENIED',
            message: expect.stringMatching(
              new RegExp(
                `the registry ${registry.host} answered 401 to the ${doing} of ${image}: .*(unauthorized|credentials)`,
              ),
            ) as string,
            remedy: expect.stringContaining(`docker login ${registry.host}`) as string,
          })
          expect(String(failure)).not.toContain('wrong')
        }
        await pull(await user(login()))
      },
    )

    test('that it does not have are not there, and the registry’s word for it is told', async () => {
      await expect(pull(await user(login()), name('nobody-has-this'))).rejects.toMatchObject({
        code: 'IMAGE_NOT_FOUND',
        message: expect.stringMatching(/answered 404.*manifest unknown/) as string,
      })
    })

    test('a helper that is missing is named', async () => {
      await forget()
      await expect(pull(await user({ credsStore: 'lost' }))).rejects.toMatchObject({
        code: 'REGISTRY_DENIED',
        message: expect.stringContaining('docker-credential-lost') as string,
      })
      await pull(await user(login()))
    })

    describe.each(['classic', 'buildkit'] as const)('with the %s builder', (kind) => {
      test.each(['plain', 'helper'])('are what builds begin with, with a %s login', async (how) => {
        // Like what `npm test` wants of the machine: without such a client there is nothing to test.
        expect(await findBuildkitClient(process.env)).toBeDefined()
        await push(await user(login()))
        await forget()
        const me =
          how === 'plain'
            ? await user(login())
            : await user({ credHelpers: { [registry.host]: 'keys' } }, { keys: helper() })
        const marks = `LABEL com.faasdock.test=1 com.faasdock.test.suite=${SUITE} made=${randomBytes(4).toString('hex')}`
        const given = { base: image, prefix: 'faasdock-test/login/', marks }
        const { folder: project, source } = await makeProject(given, 'RUN echo built')
        await using _ = project
        made.add(source.image)
        const builder = (env: Env): ReturnType<typeof createImageBuilder> =>
          createImageBuilder({
            engine,
            engineAddress: formatEngineAddress(dockerAddress()),
            templates: '/nowhere',
            env,
            builder: kind,
          })
        const stranger = await builder(await user({}))
          .build(source, { signal: never })
          .catch((error: unknown) => error)
        expect(stranger).toMatchObject({
          code: expect.stringMatching(/REGISTRY_DENIED|BUILD_FAILED/) as string,
        })
        const { imageId } = await builder(me).build(source, { signal: never })
        expect(imageId).toMatch(/^sha256:/)
        await engine.getImage(source.image).remove({ force: true })
        await pull(await user(login()))
      })
    })
  })
})
