/** Headers and parameters whose name says that their value lets somebody in. */
const CREDENTIAL =
  /authorization|authentication|token|secret|passw|passphrase|credential|api[-_.]?key|access[-_.]?key|private[-_.]?key|auth[-_.]?key|signature|session|cookie|jwt|csrf|xsrf/i
/** The whole name. */
const SHORT_CREDENTIAL = /^(x-)?(auth|sig|sid|pwd|pass)$/i
/** In bodies names are more often harmless (`nextPageToken`), so that only these count. */
const BODY_FIELD =
  'authorization|password|passwd|passphrase|client[-_]?secret|access[-_]?token|refresh[-_]?token|id[-_]?token|api[-_]?key|private[-_]?key'

export const CREDENTIAL_FIELD = new RegExp(`^(${BODY_FIELD})$`, 'i')
/** A field of JSON with its value, of which the end may be missing. */
export const CREDENTIAL_IN_JSON = new RegExp(`("(?:${BODY_FIELD})"\\s*:\\s*")((?:[^"\\\\]|\\\\.)*)`, 'gi')

/** Whether a header or parameter of that name holds what lets somebody in. */
export function isCredentialName(name: string): boolean {
  return CREDENTIAL.test(name) || SHORT_CREDENTIAL.test(name)
}
