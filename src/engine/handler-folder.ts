import type { Code } from '../core/code.ts'

/**
 * Where an image has what is in the handler folder, absolute, with `/`. Undefined where no file of it is in there under its
 * own name. `handler`: absolute, as on this machine.
 */
export function handlerFolder({ folder, files }: Code, handler: string): string | undefined {
  const above = `${slashed(handler).replace(/\/$/, '')}/`
  for (const [path, { source }] of files) {
    const file = slashed(source)
    const inside = file.startsWith(above) ? `/${file.slice(above.length)}` : undefined
    const whole = `${folder === '/' ? '' : folder}/${path}`
    if (inside !== undefined && whole.endsWith(inside)) return whole.slice(0, -inside.length) || '/'
  }
  return undefined
}

function slashed(path: string): string {
  return path.replaceAll('\\', '/')
}
