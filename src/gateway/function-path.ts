const PREFIX = '/function/'

export interface FunctionPath {
  /** As written: name, or name and namespace. Not checked. */
  readonly name: string
  /** Path and query as the function sees them, byte for byte, at least `/`. */
  readonly path: string
  /** Host and port of a target in absolute form; it counts instead of the Host header (RFC 9112, 3.2.2). */
  readonly authority?: string
}

/** Splits `/function/NAME/rest?query` into the name and what the function sees. Undefined for other targets. */
export function splitFunctionPath(url: string): FunctionPath | undefined {
  if (url.startsWith(PREFIX)) return split(url)
  if (url.startsWith('/')) return undefined
  const [, authority, rest] = /^https?:\/\/([^/?#]*)(\/[^]*)$/i.exec(url) ?? []
  if (authority === undefined || rest?.startsWith(PREFIX) !== true) return undefined
  return { ...split(rest), authority }
}

function split(url: string): FunctionPath {
  let end = PREFIX.length
  while (end < url.length && url[end] !== '/' && url[end] !== '?') end++
  const rest = url.slice(end)
  return { name: url.slice(PREFIX.length, end), path: rest.startsWith('/') ? rest : `/${rest}` }
}
