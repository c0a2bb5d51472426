import { readlinkSync, realpathSync } from 'node:fs'
import { dirname, parse, resolve, sep } from 'node:path'
import { entryAt } from './entry.ts'

/** As many as Linux follows in one path. */
const MOST_LINKS = 40

/** Where a path leads. */
export interface Way {
  /** Every link that is passed, the path's own included, each without a link on the way to it. */
  readonly links: readonly string[]
  /** The end, which need not exist; undefined when the links lead in a circle. */
  readonly end: string | undefined
}

/** Follows `path`, absolute, step by step: each link on the way may be made to lead elsewhere. */
export function wayOf(path: string): Way {
  const links: string[] = []
  let at = parse(path).root
  let rest = path.slice(at.length).split(sep).filter(Boolean)
  while (rest.length > 0) {
    const [step = '', ...further] = rest
    rest = further
    const next = resolve(at, step)
    if (entryAt(next)?.kind !== 'link') {
      at = next
      continue
    }
    if (links.length === MOST_LINKS) return { links, end: undefined }
    links.push(next)
    const target = linkTarget(next)
    const { root } = parse(target)
    // Not made simpler before: `..` behind a link is above what it leads to.
    at = root === '' ? dirname(next) : root
    rest = [...target.slice(root.length).split(sep).filter(Boolean), ...rest]
  }
  return { links, end: at }
}

/** The path without links; undefined when nothing is there. */
export function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

function linkTarget(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    // Gone in this moment: as if it led to itself, which is not there.
    return path
  }
}
