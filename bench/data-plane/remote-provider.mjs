/** The function that `remoteProvider` has. */
export const ref = { name: 'hello', namespace: 'openfaas-fn' }

/** A provider whose one function is a server elsewhere. */
export function remoteProvider(origin) {
  let revision

  const provider = {
    hostAddress: undefined,
    info: () => ({ name: 'bench', version: '0', architecture: 'amd64' }),
    routeGateway: () => Promise.resolve(),
    note: () => undefined,
    list: () => (revision === undefined ? [] : [provider.actual()]),
    actual: () => (revision === undefined ? undefined : { ref, revision, replicas: 1, available: 1 }),
    resolveImage: () => Promise.resolve('bench'),
    deploy: (wanted) => Promise.resolve(void (revision = wanted.id)),
    remove: () => Promise.resolve(void (revision = undefined)),
    lease: ({ name }) =>
      name === ref.name && revision !== undefined
        ? { replica: 'one', origin, revision, [Symbol.dispose]: () => undefined }
        : undefined,
    async *logs() {},
    watch: () => ({ [Symbol.dispose]: () => undefined }),
    usage: () => Promise.resolve({ cpuMillis: 0, memoryBytes: 0 }),
    removeAll: () => Promise.resolve(void (revision = undefined)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  return provider
}
