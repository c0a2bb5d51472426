/** Told, in one line each, what set-up is about to do to the machine or has done. */
export type Announce = (line: string) => void
