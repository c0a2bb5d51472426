/** Names of the labels on everything we make, and nothing else. What carries INSTANCE is ours; what does not is never touched. */
export const LABEL = {
  /** Id of the data directory that wants it. */
  instance: 'com.faasdock.instance',
  /** `function`, `relay`, `network` or `queue`; for a volume `secrets`, `code` or `queue`. */
  role: 'com.faasdock.role',
  namespace: 'com.faasdock.namespace',
  function: 'com.faasdock.function',
  revision: 'com.faasdock.revision',
  /** Names of the secrets that a function has, with commas: whom a new value concerns. */
  secrets: 'com.faasdock.secrets',
  /** `swap` or `files`, a colon, and the hash of the code that a replica's process began with. */
  code: 'com.faasdock.code',
  /** How the gateway's names were given to the replica: a replica made for another route cannot be adopted. */
  route: 'com.faasdock.route',
  /** On the network and what the queue is of: where the instance's data directory is, so that `gc` can see whether it is alive. */
  dataDir: 'com.faasdock.data',
  /** Beside it: the host that the data directory is on. */
  host: 'com.faasdock.host',
} as const

/** The role of the container that keeps async calls, and of the volume that they are in. */
export const QUEUE_ROLE = 'queue'

/** All of them: nobody else's to give. */
export const OWN_LABELS: ReadonlySet<string> = new Set(Object.values(LABEL))

/** Docker's filter for what an instance owns. */
export function ownedBy(instance: string, role?: string): { label: string[] } {
  const label = [`${LABEL.instance}=${instance}`]
  if (role !== undefined) label.push(`${LABEL.role}=${role}`)
  return { label }
}
