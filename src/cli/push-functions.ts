import { FaasError } from '../core/errors.ts'
import type { FunctionSpec } from '../core/function.ts'
import type { Context } from './command.ts'
import { settle } from './outcomes.ts'
import type { Outcome } from './outcomes.ts'
import { mapLimited } from './pool.ts'
import type { Progress } from './progress.ts'
import type { Toolbox } from '../core/toolbox.ts'

/** Pushes the image of every spec; a failure stops no other. Rejects only when the command is stopped. */
export function pushFunctions(
  { signal }: Context,
  toolbox: Pick<Toolbox, 'push'>,
  specs: readonly Pick<FunctionSpec, 'name' | 'image'>[],
  parallel: number,
  progress: Progress,
): Promise<Outcome<{ name: string; image: string }>[]> {
  return mapLimited(specs, parallel, async ({ name, image }) => {
    progress.start(name, 'pushing')
    const outcome = await settle(name, signal, async () => {
      refuseBareImage(name, image)
      await toolbox.push(image, (line) => progress.output(name, line), signal)
      return { name, image }
    })
    if (outcome.ok) progress.done(name, `pushed ${image}`)
    else progress.failed(name)
    return outcome
  })
}

/** As faas-cli: without a slash an image would go to Docker Hub's own library, which nobody may push to. */
function refuseBareImage(name: string, image: string): void {
  if (image.includes('/')) return
  throw new FaasError('BAD_USAGE', {
    message: `image ${JSON.stringify(image)} of ${name} names no registry or user to push to`,
    remedy: `Write it as "USER/${image}" or "REGISTRY/${image}" in the stack file.`,
  })
}
