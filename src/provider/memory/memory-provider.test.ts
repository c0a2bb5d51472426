import { describe } from 'vitest'
import { providerContract } from '../../../test/contract/provider.contract.ts'
import { helloInMemory } from '../../../test/support/hello.ts'
import { MemoryProvider } from './memory-provider.ts'

describe('the memory provider keeps the contract', () => {
  providerContract({
    name: 'memory',
    image: 'hello',
    missingImage: 'nobody-has-this:1',
    slowCallMs: 500,
    slowStartMs: 200,
    make: async ({ drainMs }) => {
      const provider = new MemoryProvider({ images: { hello: helloInMemory }, drainMs })
      await provider.routeGateway()
      return {
        provider,
        crash: (replica) => provider.crash(replica),
        [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
      }
    },
  })
})
