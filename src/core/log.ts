/** Where the program says what it does. Never given a payload or a secret. */
export interface Log {
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  debug(message: string, fields?: LogFields): void
}

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** Says nothing; the default of tests. */
export const silentLog: Log = { info() {}, warn() {}, error() {}, debug() {} }
