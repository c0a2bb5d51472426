type Given<T> = {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K]
} & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** The object without the properties that are undefined: absent is not the same as empty (contract 0, item 8). */
export function given<T extends object>(object: T): Given<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Given<T>
}

type Entries = Readonly<Record<string, string | null>>

/** A map of texts, in which nothing stands for the empty text; undefined when there are none. */
export function texts(map: Entries | null | undefined): Record<string, string> | undefined {
  const entries = Object.entries(map ?? {}).map(([name, value]) => [name, value ?? ''] as const)
  return entries.length > 0 ? Object.fromEntries(entries) : undefined
}
