/** Of names that are the beginning of `lang`, the longest: `python3-http` rather than `python3` for python3-http-debian. */
export function ofLang(names: Iterable<string>, lang: string): string | undefined {
  const fitting = [...names].filter((name) => lang.startsWith(name))
  return fitting.sort((a, b) => b.length - a.length)[0]
}
