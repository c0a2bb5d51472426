import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HELLO_PROGRAM } from './hello.ts'

/** What a function of the project has beside its name: environment, and lines of YAML as they stand in the file. */
export interface HelloSketch {
  readonly environment?: Readonly<Record<string, string>>
  readonly yaml?: readonly string[]
}

/** A project of functions that all are the hello program, of one content: at most one build. */
export interface HelloProject {
  readonly folder: string
  readonly stack: string
  readonly image: string
  /** Writes the stack file anew. */
  write(functions: Readonly<Record<string, HelloSketch>>): Promise<void>
}

const DOCKERFILE = `FROM node:20-alpine
LABEL com.faasdock.test=1
COPY hello.js /hello.js
CMD ["node", "/hello.js"]
`

/** Makes the project below `scratch`, its images called `hello:TAG`. */
export async function makeHelloProject(
  scratch: string,
  name: string,
  tag: string,
  functions: Readonly<Record<string, HelloSketch>>,
): Promise<HelloProject> {
  const folder = join(scratch, name)
  await mkdir(join(folder, 'hello'), { recursive: true })
  await writeFile(join(folder, 'hello/Dockerfile'), DOCKERFILE)
  await writeFile(join(folder, 'hello/hello.js'), HELLO_PROGRAM)
  const stack = join(folder, 'stack.yml')
  const image = `hello:${tag}`
  const write: HelloProject['write'] = (sketches) => writeFile(stack, stackText(image, sketches))
  await write(functions)
  return { folder, stack, image, write }
}

function stackText(image: string, functions: Readonly<Record<string, HelloSketch>>): string {
  const blocks = Object.entries(functions).map(([name, { environment = {}, yaml = [] }]) =>
    [
      `  ${name}:`,
      '    lang: dockerfile',
      '    handler: ./hello',
      `    image: ${image}`,
      '    environment:',
      `      WORD: ${name}`,
      ...Object.entries(environment).map(([key, value]) => `      ${key}: '${value}'`),
      ...yaml.map((line) => `    ${line}`),
      '',
    ].join('\n'),
  )
  return ['version: 1.0', 'provider:', '  name: openfaas', 'functions:', ...blocks].join('\n')
}
