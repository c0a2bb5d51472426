import type { CodeRules } from './code.ts'
import { handlerFolderOf } from './context.ts'
import { dockerfileRules } from './dockerfile-rules.ts'
import { reloadRules } from './reload-rules.ts'
import type { Template } from './template.ts'
import type { ReadText } from './text-reader.ts'
import type { ContextEntry } from './tree.ts'

export interface Ruled {
  readonly template: Template
  readonly entries: readonly ContextEntry[]
  readonly fileHashes: ReadonlyMap<string, string>
  readonly dockerfile: string
  readonly args: Readonly<Record<string, string>>
}

/** Finds what of a context is code: as its template says, or else as its Dockerfile lets one see. */
export function makeCodeRules(readText: ReadText): (ruled: Ruled) => Promise<CodeRules | undefined> {
  return async ({ template, entries, fileHashes, dockerfile, args }) => {
    const handlerFolder = handlerFolderOf(template)
    if (template.reload) return reloadRules(entries, fileHashes, template.reload, handlerFolder, readText)
    return dockerfileRules({ dockerfile, args, entries, fileHashes, handlerFolder }, readText)
  }
}
