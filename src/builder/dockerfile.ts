/** An image that a Dockerfile starts from or copies from. */
export interface BaseImage {
  readonly image: string
  /** `--platform`, expanded, when it is written. */
  readonly platform?: string
}

export interface Instruction {
  readonly keyword: string
  readonly rest: string
  /** Of its first line, from 0. */
  readonly line: number
  /** Lines of the here-documents that it opens. */
  readonly hereDocuments: readonly string[]
}

export type Args = Readonly<Record<string, string>>

/** What BuildKit declares before the first FROM without being asked, and the classic builder does not. */
const PLATFORM_ARGS = /\$\{?((?:TARGET|BUILD)(?:PLATFORM|OS|ARCH|VARIANT))\b/g

/**
 * The images that a Dockerfile needs from outside: its FROMs with build arguments put in, and `--from=` of COPY and
 * mounts. Earlier stages and `scratch` are none. What cannot be known here (a variable without a value) is left out.
 */
export function baseImages(dockerfile: string, args: Args): readonly BaseImage[] {
  const bases = new Map<string, BaseImage>()
  const stages = new Set<string>(['scratch'])
  const variables = openingArgs(dockerfile, args)
  const add = (image: string, platform?: string): void => {
    if (image === '' || image.includes('$') || stages.has(image.toLowerCase()) || bases.has(image)) return
    bases.set(image, { image, ...(platform !== undefined && platform !== '' && { platform }) })
  }
  for (const { keyword, rest } of instructions(dockerfile)) {
    if (keyword === 'FROM') {
      const { image, platform, stage } = fromOf(rest, variables)
      add(image, platform)
      if (stage !== '') stages.add(stage.toLowerCase())
    }
    if (keyword === 'COPY' || keyword === 'ADD' || keyword === 'RUN') {
      for (const [, from = ''] of rest.matchAll(/--(?:from=|mount=\S*?\bfrom=)([^\s,]+)/g)) {
        if (!/^\d+$/.test(from)) add(from)
      }
    }
  }
  return [...bases.values()]
}

/** A FROM line with variables put in; `stage` is empty where it gives no name. */
export function fromOf(
  rest: string,
  variables: Args,
): { readonly image: string; readonly platform?: string; readonly stage: string } {
  const words = rest.split(/\s+/)
  const platform = words.find((word) => word.startsWith('--platform='))?.slice('--platform='.length)
  const [image = '', as = '', stage = ''] = words.filter((word) => !word.startsWith('--'))
  return {
    image: expand(image, variables),
    ...(platform !== undefined && { platform: expand(platform, variables) }),
    stage: as.toUpperCase() === 'AS' ? stage : '',
  }
}

/** What variables of FROM lines mean: the arguments declared before the first one. */
export function openingArgs(dockerfile: string, args: Args): Args {
  const variables: Record<string, string> = {}
  for (const { keyword, rest } of instructions(dockerfile)) {
    if (keyword === 'FROM') break
    if (keyword === 'ARG') declare(rest, args, variables)
  }
  // Platform arguments have values without being declared: BuildKit's own, or ours.
  return { ...platformOnly(args), ...variables }
}

/**
 * The Dockerfile for a builder that does not declare TARGETPLATFORM and its like: `FROM --platform=${TARGETPLATFORM:-…}`
 * would else always take the default, which is amd64 in OpenFaaS' templates, whatever this machine is (pitfall 3).
 */
export function declarePlatformArgs(dockerfile: string): string {
  const all = instructions(dockerfile)
  const first = all.findIndex(({ keyword }) => keyword === 'FROM')
  const line = all[first]?.line
  if (line === undefined) return dockerfile
  const declared = new Set(
    all.slice(0, first).map(({ keyword, rest }) => (keyword === 'ARG' ? nameOf(rest) : '')),
  )
  const used = all
    .filter(({ keyword }) => keyword === 'FROM')
    .flatMap(({ rest }) => [...rest.matchAll(PLATFORM_ARGS)])
  const missing = [...new Set(used.map(([, name = '']) => name))].filter((name) => !declared.has(name))
  if (missing.length === 0) return dockerfile
  const lines = dockerfile.split('\n')
  return [...lines.slice(0, line), ...missing.map((name) => `ARG ${name}`), ...lines.slice(line)].join('\n')
}

/** Names of all build arguments that a Dockerfile declares anywhere. */
export function declaredArgs(dockerfile: string): ReadonlySet<string> {
  const args = instructions(dockerfile).filter(({ keyword }) => keyword === 'ARG')
  return new Set(args.flatMap(({ rest }) => rest.split(/\s+/).map(nameOf)))
}

/** Instructions with continued lines joined and comments dropped. */
export function instructions(dockerfile: string): readonly Instruction[] {
  const escape = /^#\s*escape\s*=\s*`/im.test(dockerfile) ? '`' : '\\'
  const lines = dockerfile.split(/\r?\n/)
  const found: Instruction[] = []
  let pending: { text: string; line: number } | undefined
  for (let index = 0; index < lines.length; index++) {
    const text = (lines[index] ?? '').trim()
    if (text === '' || text.startsWith('#')) continue
    const joined: string = pending === undefined ? text : `${pending.text} ${text}`
    const line: number = pending?.line ?? index
    if (joined.endsWith(escape)) {
      pending = { text: joined.slice(0, -1).trimEnd(), line }
      continue
    }
    pending = undefined
    const [, keyword = '', rest = ''] = /^(\S+)\s*(.*)$/.exec(joined) ?? []
    const end = endOfHereDocuments(lines, index + 1, joined)
    found.push({ keyword: keyword.toUpperCase(), rest, line, hereDocuments: lines.slice(index + 1, end) })
    index = end - 1
  }
  return found
}

/** The line after the last here-document that an instruction opens; `start` when it opens none. */
export function endOfHereDocuments(lines: readonly string[], start: number, instruction: string): number {
  if (!/^\s*(?:ONBUILD\s+)?(?:RUN|COPY|ADD)\s/i.test(instruction)) return start
  let at = start
  for (const [, tabs, , word] of instruction.matchAll(/\s\d*<<(-?)(["']?)([A-Za-z_]\w*)\2/g)) {
    const closes = (line: string): boolean =>
      (tabs === '-' ? line.replace(/^\t+/, '') : line).trimEnd() === word
    const found = lines.findIndex((line, index) => index >= at && closes(line))
    // Never closed: then it was no here-document.
    if (found === -1) return start
    at = found + 1
  }
  return at
}

/** Takes in an ARG line: `args` win over what it says itself. */
export function declare(rest: string, args: Args, variables: Record<string, string>): void {
  for (const word of rest.match(/(?:"[^"]*"|'[^']*'|\S)+/g) ?? []) {
    const name = nameOf(word)
    const written = word.includes('=')
      ? word.slice(word.indexOf('=') + 1).replace(/^(["'])(.*)\1$/, '$2')
      : undefined
    const value = args[name] ?? (written === undefined ? undefined : expand(written, variables))
    if (value !== undefined) variables[name] = value
  }
}

function nameOf(arg: string): string {
  return /^[^=\s]*/.exec(arg)?.[0] ?? ''
}

function platformOnly(args: Args): Args {
  return Object.fromEntries(
    Object.entries(args).filter(([name]) => /^(TARGET|BUILD)(PLATFORM|OS|ARCH)$/.test(name)),
  )
}

/** `$X`, `${X}`, `${X:-default}`, `${X:+alternative}`. Unknown ones stay, so that callers see that they do. */
export function expand(text: string, variables: Args): string {
  return text.replace(
    /\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g,
    (
      whole,
      plain: string | undefined,
      braced: string | undefined,
      sign: string | undefined,
      word: string | undefined,
    ) => {
      const value = variables[plain ?? braced ?? ''] ?? ''
      if (sign === '-') return value === '' ? expand(word ?? '', variables) : value
      if (sign === '+') return value === '' ? '' : expand(word ?? '', variables)
      return value === '' ? whole : value
    },
  )
}
