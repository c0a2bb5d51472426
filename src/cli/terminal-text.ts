/** Colours and weights, which loggers use; every other sequence can do more: move, clear, retitle, fill the clipboard. */
const PARTS = /\u001b\[[0-9;:]*m|[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g
/** Where Unicode has pictures of the control characters, in their order. */
const PICTURES = 0x2400
const DELETE_PICTURE = '\u2421'

/**
 * What a program of somebody else wrote, fit for a terminal: with its colours and tabs, and a picture (␛) in place of each
 * character that would steer the terminal. `colored` false: without colours.
 */
export function terminalText(text: string, colored: boolean): string {
  const shown = text
    .replace(/\r$/, '')
    .replace(PARTS, (part) => (part.length === 1 ? pictureOf(part.charCodeAt(0)) : colored ? part : ''))
  // Its colour is not the next line's.
  return shown.includes('\u001b') ? `${shown}\u001b[0m` : shown
}

function pictureOf(code: number): string {
  if (code === 0x7f) return DELETE_PICTURE
  return code < 0x20 ? String.fromCharCode(PICTURES + code) : '\ufffd'
}
