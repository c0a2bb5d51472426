/**
 * What to type to log in, by faasdock or by faas-cli: it names the file with the password, never the password.
 * A path is quoted when a shell would read it otherwise.
 */
export function loginCommand(
  url: string,
  { user, passwordFile }: { readonly user: string; readonly passwordFile: string },
): string {
  const rest = `login --gateway ${url} --username ${quoted(user)} --password-stdin < ${quoted(passwordFile)}`
  return `faasdock ${rest}   (or faas-cli ${rest})`
}

function quoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
