/**
 * The images that a Dockerfile starts from or copies out of, in order and once each: FROM lines with the defaults of
 * the ARGs before them, `COPY --from=` and `RUN --mount=…,from=`. Stages of the file itself and `scratch` are none.
 */
export function baseImagesOf(dockerfile: string, buildArgs: Readonly<Record<string, string>> = {}): string[] {
  const variables = new Map<string, string>()
  const stages = new Set<string>(['scratch'])
  const images = new Set<string>()
  const add = (image: string): void => {
    if (image !== '' && !stages.has(image.toLowerCase()) && !/^\d+$/.test(image)) images.add(image)
  }
  let inStage = false
  for (const line of instructions(dockerfile)) {
    const [, word = '', rest = ''] = /^(\S+)\s+(.*)$/s.exec(line) ?? []
    switch (word.toUpperCase()) {
      case 'ARG':
        if (!inStage) declare(rest, variables, buildArgs)
        break
      case 'FROM': {
        inStage = true
        const [image = '', as, name] = rest.split(/\s+/).filter((part) => !part.startsWith('--'))
        add(expand(unquote(image), variables))
        if (as?.toUpperCase() === 'AS' && name !== undefined) stages.add(name.toLowerCase())
        break
      }
      case 'COPY':
      case 'ADD':
      case 'RUN':
        for (const image of copiedFrom(rest)) add(image)
        break
      default:
    }
  }
  return [...images]
}

/** `--from=X` of COPY, `--mount=type=bind,from=X` of RUN. Neither expands variables. */
function copiedFrom(rest: string): string[] {
  const flags = /^(?:--\S+\s+)+/.exec(rest)?.[0].trim().split(/\s+/) ?? []
  return flags.flatMap((flag) => {
    const image = /^--(?:from=|mount=(?:\S*,)?from=)([^,\s]+)/.exec(flag)?.[1]
    return image === undefined || image.includes('$') ? [] : [unquote(image)]
  })
}

/** `ARG A B=1 C="${B}-x"`: a build argument wins over the default. */
function declare(
  rest: string,
  variables: Map<string, string>,
  buildArgs: Readonly<Record<string, string>>,
): void {
  for (const [, name = '', value] of rest.matchAll(/([A-Za-z_]\w*)(?:=("[^"]*"|'[^']*'|\S*))?/g)) {
    variables.set(name, buildArgs[name] ?? expand(unquote(value ?? ''), variables))
  }
}

/** `$A`, `${A}`, `${A:-default}`, `${A-default}`, `${A:+instead}`. */
function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(
    /\$(?:(\w+)|\{(\w+)(?:(:?[-+])([^}]*))?\})/g,
    (_, bare: string | undefined, braced: string | undefined, operator?: string, word?: string) => {
      const value = variables.get(bare ?? braced ?? '')
      const given = operator?.startsWith(':') ? value !== undefined && value !== '' : value !== undefined
      if (operator?.endsWith('+')) return given ? (word ?? '') : ''
      return given ? (value ?? '') : (word ?? '')
    },
  )
}

function unquote(text: string): string {
  return text.replace(/^(["'])(.*)\1$/, '$2')
}

/** Instructions with their continued lines joined, without comments and without the bodies of here-documents. */
function instructions(dockerfile: string): string[] {
  const escape = /^#\s*escape\s*=\s*`/im.test(dockerfile) ? '`' : '\\'
  const found: string[] = []
  let current = ''
  const ends: string[] = []
  for (const raw of dockerfile.split(/\r?\n/)) {
    if (ends.length > 0) {
      if (raw.trim() === ends[0]) ends.shift()
      continue
    }
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    if (line.endsWith(escape)) {
      current += `${line.slice(0, -1)} `
      continue
    }
    found.push((current + line).trim())
    current = ''
    const last = found.at(-1) ?? ''
    if (/^(RUN|COPY|ADD)\s/i.test(last)) {
      for (const [, end = ''] of last.matchAll(/<<-?["']?([A-Za-z_]\w*)["']?/g)) ends.push(end)
    }
  }
  if (current.trim() !== '') found.push(current.trim())
  return found
}
