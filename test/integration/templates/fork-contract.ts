import type { Call } from './call.ts'
import type { Expected } from './node-contract.ts'

/** One row of contract 6.3: what the script does, the container's settings, what is asked, what must come back. */
export interface ForkRow {
  readonly says: string
  /** Lines of bash. */
  readonly script: string
  readonly env?: Readonly<Record<string, string>>
  readonly call?: Call
  readonly answers: Expected
  /** What the official watchdog answers instead, and why ours differs. */
  readonly official?: { readonly answers: Expected; readonly because: string }
}

const post = (body: string | Buffer, headers: Record<string, string> = {}): Call => ({ method: 'POST', body, headers })

/** Contract 6.3, row by row. */
export const forkContract: readonly ForkRow[] = [
  { says: 'the body is stdin, stdout is the answer', script: 'cat', call: post('中文\n'), answers: { status: 200, body: '中文\n' } },
  { says: 'bytes pass through', script: 'wc -c', call: post(Buffer.from([0xff, 0x00, 0xfe])), answers: { body: '3\n' } },
  {
    says: 'method, path, raw query, host and length are in the environment',
    script: 'echo "$Http_Method $Http_Path $Http_Query $Http_Host $Http_ContentLength $Http_Content_Length"',
    call: { method: 'PUT', path: '/a/b?x=1&y=%20z', headers: { Host: 'far.example' }, body: 'abc' },
    answers: { body: 'PUT /a/b x=1&y=%20z far.example 3 3\n' },
  },
  {
    says: 'every header is, by its canonical name',
    script: 'echo "$Http_X_Foo_Bar $Http_Content_Type $Http_User_Agent $Http_X_Call_Id"',
    call: post('', { 'x-foo-bar': 'baz', 'content-type': 'text/x-own', 'user-agent': 'me', 'X-Call-Id': '42' }),
    answers: { type: 'text/x-own', body: 'baz text/x-own me 42\n' },
  },
  { says: 'of a header that comes twice the first', script: 'echo "$Http_X_Two"', call: { headers: { 'X-Two': ['a', 'b'] } }, answers: { body: 'a\n' } },
  { says: 'without a query there is no Http_Query', script: 'echo "${Http_Query-none}"', answers: { body: 'none\n' } },
  {
    says: 'a chunked body has length -1 and its encoding',
    script: 'echo "$Http_Content_Length $Http_Transfer_Encoding $(cat)"',
    call: { method: 'POST', body: 'abc', headers: { 'Transfer-Encoding': 'chunked' } },
    answers: { body: '-1 chunked abc\n' },
  },
  { says: 'a path is decoded', script: 'echo "$Http_Path"', call: { path: '/a%20b' }, answers: { body: '/a b\n' } },
  { says: 'the container’s own variables are there too', script: 'echo "$OWN"', env: { OWN: 'mine' }, answers: { body: 'mine\n' } },
  { says: 'cgi_headers=false leaves the call out', script: 'echo "${Http_Method-none}"', env: { cgi_headers: 'false' }, answers: { body: 'none\n' } },
  { says: 'stderr is a part of the answer', script: 'echo out; echo err >&2', answers: { body: 'out\nerr\n' } },
  { says: 'combine_output=false keeps it out', script: 'echo out; echo err >&2', env: { combine_output: 'false' }, answers: { body: 'out\n' } },
  { says: 'an exit status is a 500 with it and the output', script: 'echo out; echo err >&2; exit 3', answers: { status: 500, body: 'exit status 3\nout\nerr\n' } },
  { says: 'so is a signal', script: 'kill -9 $$', answers: { status: 500, body: 'signal: killed\n' } },
  { says: 'the content type of the answer is the caller’s', script: 'echo {}', call: post('', { 'Content-Type': 'application/json' }), answers: { type: 'application/json' } },
  { says: 'unless content_type says another', script: 'echo {}', env: { content_type: 'text/x-own' }, call: post('', { 'Content-Type': 'application/json' }), answers: { type: 'text/x-own' } },
  { says: 'without either it is guessed', script: 'echo text', answers: { type: 'text/plain; charset=utf-8' } },
  { says: 'no output is an empty 200', script: 'true', answers: { status: 200, body: '' } },
  { says: 'a body that the command does not read is no mistake', script: 'echo done', call: post(Buffer.alloc(4 << 20)), answers: { status: 200, body: 'done\n' } },
  { says: 'GET', script: 'echo "$Http_Method"', answers: { body: 'GET\n' } },
  { says: 'DELETE', script: 'echo "$Http_Method"', call: { method: 'DELETE' }, answers: { body: 'DELETE\n' } },
  { says: 'PATCH', script: 'echo "$Http_Method"', call: { method: 'PATCH' }, answers: { body: 'PATCH\n' } },
  { says: 'HEAD is 405', script: 'true', call: { method: 'HEAD' }, answers: { status: 405 } },
  { says: 'OPTIONS is 405', script: 'true', call: { method: 'OPTIONS' }, answers: { status: 405, body: '' } },
  { says: 'another method is 405', script: 'true', call: { method: 'PROPFIND' }, answers: { status: 405, body: '' } },
  { says: '/_/ready is the function’s', script: 'echo "$Http_Path"', call: { path: '/_/ready' }, answers: { body: '/_/ready\n' } },
  { says: '/_/health is not', script: 'echo reached', call: { path: '/_/health' }, answers: { status: 200, body: 'OK' } },
  { says: '/_/health takes GET alone', script: 'echo reached', call: { method: 'POST', path: '/_/health' }, answers: { status: 405, body: '' } },
  { says: 'exec_timeout is 408', script: 'exec sleep 20', env: { exec_timeout: '200ms' }, answers: { status: 408, body: 'Killed process.\n' } },
  {
    says: 'exec_timeout ends what the command started as well',
    script: 'sleep 4; echo no',
    env: { exec_timeout: '200ms' },
    answers: { status: 408, body: 'Killed process.\n' },
  },
  { says: 'marshal_request wraps headers and body', script: 'cat', env: { marshal_request: 'true' }, call: post('hi'), answers: { body: /"body":\{"raw":"aGk="\}/ } },
  { says: 'fprocess is any command', script: '', env: { fprocess: 'tr a-z A-Z' }, call: post('loud'), answers: { body: 'LOUD' } },
  {
    says: 'one that is not there is a 500',
    script: '',
    env: { fprocess: 'no-such-command' },
    answers: { status: 500, body: 'exec: "no-such-command": executable file not found in $PATH\n' },
  },
]

/** A handler that does what the row says which a call names. Where the call's headers are left out, so is its row: `$1`. */
export function forkHandler(): string {
  const cases = forkContract.map(({ script }, index) => `${String(index)})\n${script || ':'}\n;;`)
  return `row=\${Http_X_Row:-\${ROW:-}}\ncase $row in\n${cases.join('\n')}\nesac\n`
}

export function forkCallOf({ call }: ForkRow, index: number): Call {
  return { ...call, headers: { ...call?.headers, 'X-Row': String(index) } }
}
