/** How one stand-in is made, on the Debian base. Recipes with one `id` make the same image. */
export interface Recipe {
  readonly id: string
  /** What the image really is: its label. */
  readonly what: string
  /** The Dockerfile's lines after FROM and LABEL. */
  readonly steps: readonly string[]
  /** Puts what the Dockerfile copies into `folder`. */
  fill?(folder: string): Promise<void>
}
