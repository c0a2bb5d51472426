import { isAlias, isMap, isScalar, isSeq, parseDocument } from 'yaml'
import type { Alias, Node, Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import type { Place } from './source-map.ts'
import type { Fault } from './substitute.ts'
import { syntaxFaults } from './yaml-syntax.ts'

/** YAML with every scalar as the text that was written, as Go reads it into string fields: `1.0` stays `1.0`. */
export type Value = string | null | ValueList | ValueMap
export type ValueList = readonly Value[]
export interface ValueMap {
  readonly [key: string]: Value
}

export type Path = readonly PropertyKey[]

export interface Tree {
  readonly root: Value
  readonly faults: readonly Fault[]
  /** Where the value of a path is written; that of its key where the value is empty; else that of what holds it. */
  place(path: Path): Place
  /** Where the last key of a path is written. */
  keyPlace(path: Path): Place
}

/** Reads YAML text into values and their places. Never throws: syntax errors are faults. */
export function readTree(text: string): Tree {
  const document = parseDocument(text, {
    schema: 'failsafe',
    uniqueKeys: false,
    prettyErrors: false,
  })
  if (document.errors.length > 0) return broken(text, syntaxFaults(text, document))
  const reader = new TreeReader(startOf(text))
  const root = document.contents ? reader.read(document.contents) : null
  return {
    root,
    faults: reader.faults,
    place: (path) => reader.place(root, path).value,
    keyPlace: (path) => reader.place(root, path).key,
  }
}

function broken(text: string, faults: readonly Fault[]): Tree {
  return { root: null, faults, place: () => startOf(text), keyPlace: () => startOf(text) }
}

/** The first character that is one. */
function startOf(text: string): Place {
  const start = Math.max(0, text.search(/\S/))
  return { start, end: start + 1 }
}

export function isValueMap(value: Value | undefined): value is ValueMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isValueList(value: Value | undefined): value is ValueList {
  return Array.isArray(value)
}

/** What YAML reads as nothing (core schema). */
const NOTHING = new Set(['', '~', 'null', 'Null', 'NULL'])

interface Places {
  readonly key: Place
  readonly value: Place
}

/** A map that cannot be confused with what every object inherits. */
type Entries = Record<string, Value>

class TreeReader {
  readonly faults: Fault[] = []
  readonly #whole: Place
  /** Of each map or list that was read: where its entries are. */
  readonly #places = new Map<Value, Map<string, Places>>()
  /** What an anchor stands for; undefined while it is being read. */
  readonly #anchors = new Map<string, Value | undefined>()

  constructor(whole: Place) {
    this.#whole = whole
  }

  read(node: Node): Value {
    if (isAlias(node)) return this.#readAlias(node)
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined
    if (anchor !== undefined) this.#anchors.set(anchor, undefined)
    const value = this.#readContent(node)
    if (anchor !== undefined) this.#anchors.set(anchor, value)
    return value
  }

  place(root: Value, path: Path): Places {
    let places: Places = { key: this.#whole, value: this.#whole }
    let value: Value | undefined = root
    for (const step of path) {
      const next = value === undefined ? undefined : this.#places.get(value)?.get(String(step))
      if (!next) break
      places = next
      value = (value as Entries)[String(step)]
    }
    return places
  }

  #readContent(node: Node): Value {
    if (isScalar(node)) return scalarText(node)
    if (isSeq(node)) return this.#readList(node)
    if (isMap(node)) return this.#readMap(node)
    return null
  }

  #readAlias(alias: Alias): Value {
    const value = this.#anchors.get(alias.source)
    if (value !== undefined) return value
    const inside = this.#anchors.has(alias.source)
    this.faults.push({
      place: placeOf(alias, this.#whole),
      message: inside ? `*${alias.source} stands inside of what it names` : `*${alias.source} names nothing`,
      accepted: `the name of an anchor (&${alias.source}) that stands further up`,
    })
    return null
  }

  #readList(list: YAMLSeq): Value {
    const values: Value[] = []
    const places = new Map<string, Places>()
    this.#places.set(values, places)
    for (const item of list.items as Node[]) {
      const value = this.read(item)
      // An empty item is left out, as in faas-cli.
      if (value === null) continue
      const place = placeOf(item, this.#whole)
      places.set(String(values.length), { key: place, value: place })
      values.push(value)
    }
    return values
  }

  #readMap(map: YAMLMap): Value {
    const entries = Object.create(null) as Entries
    const places = new Map<string, Places>()
    this.#places.set(entries, places)
    const merged: Pair<Node, Node | null>[] = []
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      if (isMergeKey(pair.key)) merged.push(pair)
      else this.#readPair(pair, entries, places)
    }
    for (const pair of merged) this.#merge(pair, entries, places)
    return entries
  }

  #readPair(pair: Pair<Node, Node | null>, entries: Entries, places: Map<string, Places>): void {
    const key = this.read(pair.key)
    const keyPlace = placeOf(pair.key, this.#whole)
    const value = pair.value ? this.read(pair.value) : null
    if (typeof key === 'object' && key !== null) {
      this.faults.push({ place: keyPlace, message: 'this key is not a text', accepted: 'a text' })
      return
    }
    const name = key ?? ''
    const before = places.get(name)
    if (before) {
      this.faults.push({
        place: keyPlace,
        message: `${JSON.stringify(name)} is given twice`,
        earlier: before.key,
      })
      return
    }
    places.set(name, { key: keyPlace, value: value === null ? keyPlace : placeOf(pair.value, keyPlace) })
    entries[name] = value
  }

  /** `<<: *anchor`, or a list of them: entries that the map itself does not have. */
  #merge(pair: Pair<Node, Node | null>, entries: Entries, places: Map<string, Places>): void {
    const value = pair.value ? this.read(pair.value) : null
    for (const source of isValueList(value ?? undefined) ? (value as ValueList) : [value]) {
      if (!isValueMap(source ?? undefined)) {
        if (source === null) continue
        this.faults.push({
          place: placeOf(pair.value, this.#whole),
          message: 'only a map can be merged with <<',
          accepted: 'an alias of a map, or a list of them',
        })
        continue
      }
      for (const [name, entry] of Object.entries(source as ValueMap)) {
        const from = this.#places.get(source)?.get(name)
        if (places.has(name) || !from) continue
        places.set(name, from)
        entries[name] = entry
      }
    }
  }
}

function isMergeKey(key: Node): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.value === '<<'
}

function scalarText(scalar: Scalar): string | null {
  const text = typeof scalar.value === 'string' ? scalar.value : ''
  return scalar.type === 'PLAIN' && scalar.tag === undefined && NOTHING.has(text) ? null : text
}

function placeOf(node: Node | null, otherwise: Place): Place {
  return node?.range ? { start: node.range[0], end: node.range[1] } : otherwise
}
