/** What `new` keeps out of the repository, as faas-cli does: pulled templates, build folders, local secrets. */
const IGNORED = ['template', 'build', '.secrets']

/** The text of a `.gitignore` with those added that it lacks; the same text when it lacks none. */
export function ignoreGenerated(text: string): string {
  const present = new Set(text.split(/\r?\n/).map((line) => line.trim().replace(/^\/|\/$/g, '')))
  const missing = IGNORED.filter((name) => !present.has(name))
  if (missing.length === 0) return text
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${missing.join('\n')}\n`
}
