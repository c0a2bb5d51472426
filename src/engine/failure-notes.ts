import type { Provider } from '../core/provider.ts'
import type { Events } from './events.ts'

/** Writes why a function does not run into that function's own log, where its developer looks first (pitfall 5). */
export function noteFailures(events: Events, provider: Pick<Provider, 'note'>): Disposable {
  return events.watch((event) => {
    if (event.type === 'function.failed') {
      const { problem, serving } = event
      const stands = serving === undefined ? '' : `\nRevision ${serving} goes on answering.`
      provider.note(event.ref, `${problem.message}\n→ ${problem.remedy}${stands}`)
    }
    if (event.type === 'replica.died')
      provider.note(event.ref, `replica ${event.replica.slice(0, 12)} ${event.reason}`)
  })
}
