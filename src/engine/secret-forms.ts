/** Shorter values cannot be told from ordinary text. Bytes. */
const SHORTEST = 6
/** Of what begins like a secret and is cut off. Bytes. */
const SHORTEST_BEGINNING = 4

/**
 * Values that must not be kept, in every form that they are looked for. Values are never taken out again: what was secret
 * once was that when it was sent.
 */
export class SecretForms {
  readonly #values = new Set<string>()
  /** Longest first: one secret may hold another. As bytes, and as text with one character a byte. */
  #forms: { readonly bytes: Buffer; readonly text: string }[] = []
  /** The values themselves, one character a byte. */
  #plain: string[] = []

  /** True when it is new. White space around a value is not a part of it: functions trim what they read. */
  add(value: Uint8Array): boolean {
    const text = trimmed(Buffer.from(value)).toString('latin1')
    if (text.length < SHORTEST || this.#values.has(text)) return false
    this.#values.add(text)
    this.#plain.push(text)
    const texts = new Set(this.#forms.map((form) => form.text))
    for (const form of formsOf(text)) texts.add(form)
    this.#forms = [...texts]
      .sort((a, b) => b.length - a.length)
      .map((form) => ({ text: form, bytes: Buffer.from(form, 'latin1') }))
    return true
  }

  get isEmpty(): boolean {
    return this.#forms.length === 0
  }

  isIn(bytes: Buffer): boolean {
    return this.#forms.some((form) => bytes.includes(form.bytes))
  }

  /** Whether one of them is there when `text`, one character a byte, is read as it is. */
  isInText(text: string): boolean {
    return this.#forms.some((form) => text.includes(form.text))
  }

  /** Whether a value itself is in a text that was decoded. */
  isInDecoded(text: string): boolean {
    return this.#plain.some((value) => text.includes(value))
  }

  /** The text with `word` in place of each of them. */
  replaceIn(text: string, word: string): string {
    let replaced = text
    for (const form of this.#forms)
      if (replaced.includes(form.text)) replaced = replaced.replaceAll(form.text, word)
    return replaced
  }

  /** How many bytes at the end of what was cut off may be the beginning of one of them. */
  begunAtEndOf(bytes: Buffer): number {
    let longest = 0
    for (const { bytes: form } of this.#forms)
      for (let n = Math.min(form.length - 1, bytes.length); n >= SHORTEST_BEGINNING && n > longest; n--)
        if (bytes.compare(form, 0, n, bytes.length - n) === 0) longest = n
    return longest
  }
}

/** As functions do it: what is text by all that counts as white space, other bytes by that of ASCII. */
function trimmed(bytes: Buffer): Buffer {
  const text = bytes.toString('utf8')
  if (Buffer.from(text).equals(bytes)) return Buffer.from(text.trim())
  const plain = bytes.toString('latin1').replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')
  return Buffer.from(plain, 'latin1')
}

/** As it is, as JSON writers and addresses write it, and in base64. One character a byte, as `text` is. */
function formsOf(text: string): string[] {
  const bytes = Buffer.from(text, 'latin1')
  const said = bytes.toString('utf8')
  const isText = Buffer.from(said, 'utf8').equals(bytes)
  const base64 = bytes.toString('base64')
  const forms = [text, base64, base64.replace(/=+$/, ''), bytes.toString('base64url')]
  if (isText) {
    const json = JSON.stringify(said).slice(1, -1)
    const percent = encodeURIComponent(said)
    const goJson = json.replace(/[<>&]/g, codeUnit)
    const pythonJson = json.replace(/[^\x20-\x7e]/g, codeUnit)
    for (const one of [
      json,
      json.replaceAll('/', '\\/'),
      goJson,
      pythonJson,
      percent,
      percent.replaceAll('%20', '+'),
    ])
      forms.push(Buffer.from(one, 'utf8').toString('latin1'))
    // In a header, one character a byte is how Node's own client writes what fits.
    if (/^[\u0000-\u00ff]*$/.test(said)) forms.push(said)
  }
  return [...new Set(forms)]
}

function codeUnit(letter: string): string {
  return `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`
}
