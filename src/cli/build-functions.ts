import type { Builder, BuildResult, FunctionSource } from '../core/builder.ts'
import type { Context } from './command.ts'
import { settle } from './outcomes.ts'
import type { Outcome } from './outcomes.ts'
import { mapLimited } from './pool.ts'
import type { Progress } from './progress.ts'

export interface BuildWish {
  readonly parallel: number
  readonly noCache: boolean
  readonly pull: boolean
  readonly labels: Readonly<Record<string, string>>
}

/** Builds every source; a failed build stops no other. Rejects only when the command is stopped. */
export function buildFunctions(
  { signal }: Context,
  builder: Builder,
  sources: readonly FunctionSource[],
  wish: BuildWish,
  progress: Progress,
): Promise<Outcome<BuildResult>[]> {
  return mapLimited(sources, wish.parallel, async (source) => {
    progress.start(source.name, 'building')
    const outcome = await settle(source.name, signal, () =>
      builder.build(source, {
        signal,
        noCache: wish.noCache,
        pull: wish.pull,
        labels: wish.labels,
        onOutput: (line) => progress.output(source.name, line),
      }),
    )
    if (!outcome.ok) progress.failed(source.name)
    else
      progress.done(
        source.name,
        outcome.result.cached ? `${source.image} is up to date` : `built ${source.image}`,
      )
    return outcome
  })
}
