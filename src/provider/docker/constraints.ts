/** What can be known of the one machine that there is. */
export interface NodeFacts {
  /** As Docker writes it: `amd64`. */
  readonly architecture: string
  readonly hostname: string
}

/** The same processor under the names of Docker and of uname. */
const SAME_ARCHITECTURE: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' }

/**
 * The first constraint that this machine does not meet; undefined when it meets all. Both forms in use are read: Swarm's
 * (`node.platform.os == linux`) and Kubernetes' node selectors (`kubernetes.io/arch=arm64`); contract 13.2 and 13.3. What
 * is about labels of nodes cannot be known on one machine, and is taken as met.
 */
export function unmetConstraint(constraints: readonly string[], node: NodeFacts): string | undefined {
  return constraints.find((constraint) => {
    const match = /^\s*([^\s=!]+)\s*(==|!=|=)\s*(.*?)\s*$/.exec(constraint)
    const actual = match && factOf(match[1] ?? '', node)
    if (!match || actual === undefined) return false
    const wanted = match[3] ?? ''
    const isSame = (SAME_ARCHITECTURE[wanted] ?? wanted) === actual
    return match[2] === '!=' ? isSame : !isSame
  })
}

function factOf(key: string, node: NodeFacts): string | undefined {
  if (/^(node\.platform\.os|(beta\.)?kubernetes\.io\/os)$/.test(key)) return 'linux'
  if (/^(node\.platform\.arch|(beta\.)?kubernetes\.io\/arch)$/.test(key)) return node.architecture
  if (key === 'node.hostname' || key === 'kubernetes.io/hostname') return node.hostname
  return undefined
}
