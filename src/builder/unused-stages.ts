import { fromOf, instructions, openingArgs } from './dockerfile.ts'
import type { Args } from './dockerfile.ts'

interface Stage {
  readonly name: string
  /** Of its FROM line. */
  readonly start: number
  readonly needs: readonly string[]
}

/**
 * The Dockerfile for a builder that makes every stage, wanted or not: stages that the last one does not need become
 * empty lines, as BuildKit passes over them. Stays as it is where stages are named by number or by variable.
 */
export function dropUnusedStages(dockerfile: string, args: Args): string {
  const stages = stagesOf(dockerfile, args)
  if (stages === undefined || stages.length < 2) return dockerfile
  const lines = dockerfile.split('\n')
  const wanted = new Set<Stage>()
  const want = (index: number): void => {
    const stage = stages[index]
    if (stage === undefined || wanted.has(stage)) return
    wanted.add(stage)
    // A name means the last stage of that name above; without one it is an image.
    for (const name of stage.needs)
      want(stages.findLastIndex((other, at) => at < index && other.name === name))
  }
  want(stages.length - 1)
  for (const [index, stage] of stages.entries()) {
    if (wanted.has(stage)) continue
    const end = stages[index + 1]?.start ?? lines.length
    lines.fill('', stage.start, end)
  }
  return lines.join('\n')
}

/** Undefined when a stage's needs cannot be told. */
function stagesOf(dockerfile: string, args: Args): readonly Stage[] | undefined {
  const stages: { name: string; start: number; needs: string[] }[] = []
  const variables = openingArgs(dockerfile, args)
  for (const { keyword, rest, line } of instructions(dockerfile)) {
    if (keyword === 'FROM') {
      const { image, stage } = fromOf(rest, variables)
      if (image.includes('$')) return undefined
      stages.push({ name: stage.toLowerCase(), start: line, needs: [image.toLowerCase()] })
      continue
    }
    for (const [, from = ''] of rest.matchAll(/--(?:from=|mount=\S*?\bfrom=)([^\s,]+)/g)) {
      if (/^\d+$|\$/.test(from)) return undefined
      stages.at(-1)?.needs.push(from.toLowerCase())
    }
  }
  return stages
}
