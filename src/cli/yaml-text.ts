import { parse, stringify } from 'yaml'

// Loaded by commands when they need it, never at the start: the package is large.

/** A YAML document as plain values; `null` for an empty one. Throws with YAML's own words. */
export function parseYaml(text: string): unknown {
  return parse(text) as unknown
}

/** YAML as faas-cli lays it out, so that what both write stays the same text: two spaces, no folded lines. */
export function writeYaml(value: unknown): string {
  return stringify(value, { indent: 2, lineWidth: 0, aliasDuplicateObjects: false, version: '1.1' })
}
