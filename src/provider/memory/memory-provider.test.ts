import { describe } from 'vitest'
import { codeContract } from '../../../test/contract/code.contract.ts'
import { providerContract } from '../../../test/contract/provider.contract.ts'
import { helloInMemory } from '../../../test/support/hello.ts'
import { MemoryLoadError, MemoryProvider } from './memory-provider.ts'
import type { MemoryImage } from './memory-provider.ts'

describe('the memory provider keeps the contract', () => {
  providerContract({
    name: 'memory',
    image: 'hello',
    missingImage: 'nobody-has-this:1',
    slowCallMs: 500,
    slowStartMs: 200,
    make: async ({ drainMs }) => {
      const provider = new MemoryProvider({ images: { hello: helloInMemory }, drainMs })
      await provider.routeGateway({ host: 'nowhere', port: 0 })
      return {
        provider,
        crash: (replica) => provider.crash(replica),
        [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
      }
    },
  })
})

/** Says what its file `word` says; one that says `fail` does not load. */
const talker: MemoryImage = {
  files: { word: 'image' },
  listener: (_revision, _log, files) => {
    const word = files.get('word') ?? ''
    if (word === 'fail') throw new MemoryLoadError({ message: 'it says fail', file: 'word', line: 1 })
    let begun = 0
    return ({ url }, response) => {
      const say = (said: unknown): void => void response.end(JSON.stringify({ word: said }))
      if (url === '/slow') setTimeout(say, 300, word)
      else if (url === '/extra') say(files.has('extra'))
      else say(url === '/begun' ? begun : word)
      if (url === '/slow') begun++
    }
  },
}

describe.each(['swap', 'files'] as const)(
  'the memory provider keeps what is promised of code, by %s',
  (way) => {
    codeContract({
      image: 'talker',
      way,
      folder: '/code',
      saying: (word, extra = false) => ({ word, ...(extra && { extra: '' }) }),
      bad: {
        files: { word: 'fail' },
        message: /it says fail/,
        ...(way === 'swap' && { place: { file: 'word', line: 1 } }),
      },
      make: ({ drainMs }) => {
        const provider = new MemoryProvider({ images: { talker }, drainMs })
        return Promise.resolve({
          provider,
          crash: (replica) => provider.crash(replica),
          [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
        })
      },
    })
  },
)
