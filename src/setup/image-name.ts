/** An image's name, taken apart as engines do. */
export interface ImageName {
  /** Host of the registry; empty for the engine's default. */
  readonly registry: string
  /** Without the default `library/`: `node`, `openfaas/of-watchdog`. */
  readonly repository: string
  readonly tag: string
  readonly digest?: string
}

/** Reads `[HOST[:PORT]/]REPOSITORY[:TAG][@DIGEST]`. */
export function parseImageName(name: string): ImageName {
  const [withoutDigest = '', digest] = name.split('@')
  const slash = withoutDigest.indexOf('/')
  const first = slash < 0 ? '' : withoutDigest.slice(0, slash)
  const isHost = first.includes('.') || first.includes(':') || first === 'localhost'
  const path = isHost ? withoutDigest.slice(slash + 1) : withoutDigest
  const colon = path.lastIndexOf(':')
  const repository = (colon < 0 ? path : path.slice(0, colon)).replace(/^library\//, '')
  return {
    registry: isHost ? first : '',
    repository,
    tag: colon < 0 ? 'latest' : path.slice(colon + 1),
    ...(digest !== undefined && { digest }),
  }
}
