/** What is posted when an async call has ended. */
export interface CallbackRequest {
  readonly url: string
  /** Name, value, name, value … */
  readonly headers: readonly string[]
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
}

export interface CallbackAnswer {
  readonly status: number
  /** Where a redirect leads; nobody follows it. */
  readonly location?: string
}

/** Posts callbacks to wherever users want them. */
export interface CallbackSender extends AsyncDisposable {
  /** Resolves with the answer's status, its body read and forgotten. Rejects when there was none, or the signal's reason. */
  post(request: CallbackRequest, signal: AbortSignal): Promise<CallbackAnswer>
}
