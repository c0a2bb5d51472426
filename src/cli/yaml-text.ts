/** A YAML document as plain values; `null` for an empty one. Throws with YAML's own words. */
export async function parseYaml(text: string): Promise<unknown> {
  const { parse } = await import('yaml')
  return parse(text) as unknown
}

/** YAML as faas-cli lays it out, so that what both write stays the same text: two spaces, no folded lines. */
export async function writeYaml(value: unknown): Promise<string> {
  const { stringify } = await import('yaml')
  return stringify(value, { indent: 2, lineWidth: 0, aliasDuplicateObjects: false, version: '1.1' })
}
