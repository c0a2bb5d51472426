/** One thing that was looked at. `warn` works, but not as well as it could. */
export interface DoctorCheck {
  readonly name: string
  readonly ok: 'ok' | 'warn' | 'fail'
  /** What was seen; may have several lines. */
  readonly detail: string
  /** What to do, usually a command to paste. */
  readonly remedy?: string
}
