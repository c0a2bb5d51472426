import type { Problem } from '../core/function.ts'

/** `CODE: message`, with the place before the message unless that names it itself: what editors and terminals link to. */
export function problemText(problem: Problem): string {
  return `${problem.code}: ${placed(problem)}`
}

/** The message behind its place. */
export function placed({ place, message }: Problem): string {
  if (!place || message.includes(place.file)) return message
  const { file, line, column } = place
  return `${[file, line, column].filter((part) => part !== undefined).join(':')} ${message}`
}

/** The lines around the place, for people; none where they are not known. */
export function frameLines({ frame }: Problem): string[] {
  return frame === undefined ? [] : frame.split('\n')
}
