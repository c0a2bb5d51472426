/** A stretch of text by its offsets, end excluded. */
export interface Place {
  readonly start: number
  readonly end: number
}

interface Segment {
  /** Where the segment begins in the text that was made. */
  readonly made: number
  /** Where it comes from in the original. */
  readonly from: Place
  /** True when the characters were copied, false when something else stands in their place. */
  readonly copied: boolean
}

/** Leads from a text that was made out of another one back to the original. */
export class SourceMap {
  readonly #segments: Segment[] = [{ made: 0, from: { start: 0, end: 0 }, copied: true }]

  /** Says where the text that is made from offset `made` on comes from. Called in the order of the text. */
  add(made: number, from: Place, copied: boolean): void {
    this.#segments.push({ made, from, copied })
  }

  /** The stretch of the original that a stretch of the made text comes from; substitutions count as a whole. */
  original(place: Place): Place {
    const first = this.#segment(place.start)
    const start = first.copied ? first.from.start + (place.start - first.made) : first.from.start
    if (place.end <= place.start) return { start, end: start }
    const last = this.#segment(place.end - 1)
    return { start, end: last.copied ? last.from.start + (place.end - last.made) : last.from.end }
  }

  /** The last segment that begins at or before `offset`. */
  #segment(offset: number): Segment {
    let low = 0
    let high = this.#segments.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.#segments[middle]?.made ?? Infinity) <= offset) low = middle
      else high = middle - 1
    }
    // The list begins with a segment at 0, so there always is one.
    return this.#segments[low] as Segment
  }
}
