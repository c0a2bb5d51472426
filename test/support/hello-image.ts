import { pack } from 'tar-stream'
import type { Engine } from '../../src/docker/client.ts'
import { HELLO_PROGRAM } from './hello.ts'

const BASE = 'node:20-alpine'

export interface HelloImages extends AsyncDisposable {
  /** Runs as root, as an image without USER does. */
  readonly image: string
  /** The same, running as uid 12345. */
  readonly imageOfUser: string
}

/** Builds the hello image, for one test file; its containers and the image itself are gone afterwards. */
export async function buildHello(engine: Engine, run: string): Promise<HelloImages> {
  const [image, imageOfUser] = [`faasdock-test-hello-${run}:1`, `faasdock-test-hello-user-${run}:1`]
  await build(engine, image, '')
  await build(engine, imageOfUser, 'USER 12345\n')
  return {
    image,
    imageOfUser,
    [Symbol.asyncDispose]: async () => {
      for (const name of [image, imageOfUser]) await engine.getImage(name).remove({ force: true })
    },
  }
}

async function build(engine: Engine, name: string, user: string): Promise<void> {
  const tar = pack()
  // Shares no layer with the same image of a run beside this one, which removes its own.
  tar.entry(
    { name: 'Dockerfile' },
    `FROM ${BASE}\nLABEL com.faasdock.test=1 made-for=${name}\nCOPY hello.cjs /hello.cjs\n${user}CMD ["node", "/hello.cjs"]\n`,
  )
  tar.entry({ name: 'hello.cjs' }, HELLO_PROGRAM)
  tar.finalize()
  const stream = await engine.buildImage(tar as unknown as NodeJS.ReadableStream, { t: name, forcerm: true })
  const steps = await new Promise<{ error?: string }[]>((resolve, reject) => {
    engine.modem.followProgress(stream, (error: Error | null, output: { error?: string }[]) =>
      error ? reject(error) : resolve(output),
    )
  })
  const failed = steps.find(({ error }) => error !== undefined)
  if (failed) throw new Error(`${name} does not build: ${failed.error ?? ''}`)
}
