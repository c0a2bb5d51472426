import type { Colors, Formatter } from 'picocolors/types.js'

/** One colour for each name, the same as long as the order of first use is the same. Red is kept for failures. */
export function makeNameColors(colors: Colors): (name: string) => Formatter {
  const palette = [
    colors.cyan,
    colors.green,
    colors.yellow,
    colors.magenta,
    colors.blue,
    colors.cyanBright,
    colors.greenBright,
    colors.yellowBright,
    colors.magentaBright,
    colors.blueBright,
  ]
  const given = new Map<string, Formatter>()
  return (name) => {
    const known = given.get(name)
    if (known) return known
    const color = palette[given.size % palette.length] ?? colors.cyan
    given.set(name, color)
    return color
  }
}
