import { shellWord } from './shell-word.ts'
import type { RepeatRequest } from './repeat-request.ts'

/** What bends in a terminal, or in a shell that is pasted into. Line feeds are quoted like letters. */
const NOT_PASTED = /[\u0000-\u0009\u000b-\u001f\u007f]/

/** A command for every POSIX shell that sends the same. `url`: of the function, without a slash at its end. */
export function invocationCurl(url: string, request: RepeatRequest): string {
  const { method, target, body } = request
  const { origin, host } = new URL(url)
  // The gateway says by itself what it was called.
  const headers = request.headers.filter(
    ([name, value]) => name.toLowerCase() !== 'x-forwarded-host' || value !== host,
  )
  // An address may hold every byte; what a shell's line cannot hold is written as addresses write it.
  const address = `${origin}${url.slice(origin.length)}${target.replace(/[^\x21-\x7e]/g, percent)}`
  const words = ['curl']
  const usual = body === undefined ? 'GET' : 'POST'
  if (method === 'HEAD' && body === undefined) words.push('--head')
  else if (method !== usual) words.push('-X', method)
  // curl reads brackets as lists, and puts dots in order.
  if (/[[\]{}]/.test(address)) words.push('--globoff')
  if (/\/\.\.?([/?]|$)/.test(address)) words.push('--path-as-is')
  words.push(shellWord(address))
  for (const [name, value] of headers)
    words.push('-H', shellWord(value === '' ? `${name};` : `${name}: ${value}`))
  if (body === undefined) return words.join(' ')
  if (!headers.some(([name]) => name.toLowerCase() === 'content-type')) words.push('-H', 'Content-Type:')
  const text = body.toString('utf8')
  const isText = Buffer.from(text).equals(body) && !NOT_PASTED.test(text)
  if (isText) return [...words, '--data-raw', body.length === 0 ? "''" : shellWord(text)].join(' ')
  return `printf %s ${body.toString('base64')} | base64 -d | ${[...words, '--data-binary', '@-'].join(' ')}`
}

/** The path is bytes, one character each. */
function percent(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
