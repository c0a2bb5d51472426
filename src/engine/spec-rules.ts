import { FaasError } from '../core/errors.ts'
import type { FunctionSpec } from '../core/function.ts'

/** What names of images, with registries, tags and digests, are made of; and not a path to elsewhere in the engine. */
const IMAGE = /^\w[\w.:@/+-]*$/
/** Of visible ASCII characters, as a request line has it; Kubernetes does without the slash. */
const PATH = /^[!-~]*$/
const PATH_ANNOTATIONS = ['com.openfaas.health.http.path', 'com.openfaas.ready.http.path']

/** The command and the environment. BAD_REQUEST where no program can be given it. */
export function checkProgram({ envProcess, envVars }: FunctionSpec): void {
  for (const [name, value] of Object.entries(envVars ?? {})) {
    if (name !== '' && !/[=\0]/.test(name) && !value.includes('\0')) continue
    throw new FaasError('BAD_REQUEST', {
      message: `envVars has ${JSON.stringify(name)}, which no program can be given`,
      remedy: 'Use names without "=", and no NUL character in names and values.',
    })
  }
  if (envProcess?.includes('\0') !== true) return
  throw new FaasError('BAD_REQUEST', {
    message: `envProcess is ${JSON.stringify(envProcess)}, which no program can be given`,
    remedy: 'Leave the NUL character out.',
  })
}

/** BAD_REQUEST where it cannot be the name of an image. Whether there is such an image is not asked. */
export function checkImage(image: string): void {
  if (image.trim() === '')
    throw new FaasError('BAD_REQUEST', { message: 'image is empty', remedy: 'Name the image to deploy.' })
  if (IMAGE.test(image) && !image.split('/').some((part) => part === '' || /^\.+$/.test(part))) return
  throw new FaasError('BAD_REQUEST', {
    message: `image is ${JSON.stringify(image)}, which is not the name of an image`,
    remedy:
      'Write it as Docker does: letters, digits and . _ - : @ /, e.g. "docker.io/library/hello:latest".',
  })
}

/** BAD_REQUEST where a path that says whether the function is ready cannot be asked for. */
export function checkHealthPaths({ annotations }: FunctionSpec): void {
  for (const name of PATH_ANNOTATIONS) {
    const path = annotations[name]
    if (path === undefined || PATH.test(path)) continue
    throw new FaasError('BAD_REQUEST', {
      message: `the annotation ${name} is ${JSON.stringify(path)}, which is not a path`,
      remedy: 'Leave blanks, line ends and other letters than ASCII out, e.g. "/healthz".',
    })
  }
}
