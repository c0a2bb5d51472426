/** Whether a line of a build's output is to be read by somebody who did not ask for all of it. */
export function isWarning(line: string): boolean {
  return line.startsWith('warning: ')
}
