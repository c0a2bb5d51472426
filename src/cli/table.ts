import { padEnd, textWidth } from './text-width.ts'

/** A table without borders: columns as wide as their widest cell, two spaces between, no spaces at a line's end. */
export function tableLines(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => textWidth(row[column] ?? ''))))
  return all.map((row) =>
    widths
      .map((width, column) => padEnd(row[column] ?? '', width))
      .join('  ')
      .trimEnd(),
  )
}
