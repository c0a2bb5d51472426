import { randomUUID } from 'node:crypto'
import { pause, systemClock } from '../core/clock.ts'
import type { Context } from './command.ts'
import type { GatewayClient } from './gateway-client.ts'
import type { HttpAnswer } from './http.ts'
import { readInvocation } from './kept-invocations.ts'
import type { RepeatRequest } from './repeat-request.ts'
import { bodyOf } from './wire-invocations.ts'
import type { WireInvocation } from './wire-invocations.ts'

/** What the gateway notes of a call that we left ourselves comes a moment later. Milliseconds. */
const NOTED_WITHIN_MS = 5000
const LOOK_EVERY_MS = 20

/**
 * Sends a request again, marked as the replay of `kept`, and gives what the gateway kept of it: the same kind of note as
 * the first one, so that both can be compared. INVOCATION_NOT_FOUND when it kept nothing, GATEWAY_UNREACHABLE.
 */
export async function replayCall(
  context: Context,
  client: GatewayClient,
  kept: WireInvocation,
  request: RepeatRequest,
): Promise<WireInvocation> {
  const { signal } = context
  const callId = randomUUID()
  const answer = await client.repeat(kept, {
    method: request.method,
    target: request.target,
    headers: { ...onWire(request.headers), 'x-call-id': [callId], 'x-faasdock-replay-of': [kept.id] },
    body: request.body,
    signal,
  })
  await readThrough(answer, kept)
  const until = performance.now() + NOTED_WITHIN_MS
  for (;;) {
    const noted = await readInvocation(context, client, callId)
    if (noted.state !== 'running' || performance.now() > until) return noted
    await pause(systemClock, LOOK_EVERY_MS, signal)
  }
}

/** To its end, or, of an answer that did not come to one, as far as it is known: it may go on for ever. */
async function readThrough({ body }: HttpAnswer, { state, response }: WireInvocation): Promise<void> {
  const enough = state === 'ended' || !response ? Infinity : bodyOf(response).length
  let bytes = 0
  if (enough === 0) return
  for await (const chunk of body) {
    bytes += chunk.length
    if (bytes >= enough) return
  }
}

/** By name in lower case; one character a byte. */
function onWire(headers: RepeatRequest['headers']): Record<string, string[]> {
  const all: Record<string, string[]> = {}
  for (const [name, value] of headers)
    (all[name.toLowerCase()] ??= []).push(Buffer.from(value, 'utf8').toString('latin1'))
  return all
}
