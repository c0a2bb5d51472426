import type { FunctionRef, Problem } from '../core/function.ts'
import { formatRef, parseRef } from '../core/function.ts'

/**
 * What can be wrong with a function: its source does not build or load (`build`), what was built does not run (`deploy`),
 * or its code answers but makes no image (`image`).
 */
export type ProblemKind = 'build' | 'deploy' | 'image'

/** A stack file that cannot be used as it is on disk; what was read of it before goes on. */
export interface StackProblem {
  /** Absolute path. */
  readonly file: string
  readonly problem: Problem
}

/** A function of a stack file that there is nothing of yet, since its source cannot be used. */
export interface Undeployed {
  readonly ref: FunctionRef
  readonly problem: Problem
}

/** What is wrong with which function right now. The first good build or deploy clears its kind. */
export class Problems {
  readonly #problems = new Map<string, Map<ProblemKind, Problem>>()
  /** Of the stack file that is watched. The first good reading clears it. */
  stack: StackProblem | undefined

  set(ref: FunctionRef, kind: ProblemKind, problem: Problem): void {
    const key = formatRef(ref)
    const kinds = this.#problems.get(key) ?? new Map<ProblemKind, Problem>()
    this.#problems.set(key, kinds.set(kind, problem))
  }

  clear(ref: FunctionRef, kind: ProblemKind): void {
    this.#problems.get(formatRef(ref))?.delete(kind)
  }

  /** Why the newest source is not what answers: the source's problem before the older one of what was deployed. */
  get(ref: FunctionRef): Problem | undefined {
    const kinds = this.#problems.get(formatRef(ref))
    return kinds?.get('build') ?? kinds?.get('deploy')
  }

  /** Every function whose source cannot be used, deployed or not. */
  sources(): readonly Undeployed[] {
    return [...this.#problems].flatMap(([key, kinds]) => {
      const problem = kinds.get('build')
      return problem ? [{ ref: parseRef(key), problem }] : []
    })
  }

  forget(ref: FunctionRef): void {
    this.#problems.delete(formatRef(ref))
  }

  of(ref: FunctionRef, kind: ProblemKind): Problem | undefined {
    return this.#problems.get(formatRef(ref))?.get(kind)
  }
}
