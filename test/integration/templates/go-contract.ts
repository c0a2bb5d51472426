import type { Call } from './call.ts'
import type { Expected } from './node-contract.ts'

export type GoContract = 'middleware' | 'http' | 'classic'

/** One row of contract 7.3: statements of Handle, what is asked, what must come back. */
export interface GoRow {
  readonly says: string
  /** `w` and `r`, `req`, or `req` as bytes are in scope. Falls through to an empty answer. */
  readonly handler: string
  readonly call?: Call
  readonly answers: Expected
  /** What the official template answers instead, and why ours differs. */
  readonly official?: { readonly answers: Expected; readonly because: string }
}

const plain = 'text/plain; charset=utf-8'
const post = (body: string | Buffer, type = 'text/plain'): Call => ({ method: 'POST', body, headers: { 'Content-Type': type } })

const middleware: readonly GoRow[] = [
  { says: 'the body is there to read, the answer to write', handler: 'io.Copy(w, r.Body)', call: post('中文'), answers: { status: 200, type: plain, body: '中文' } },
  { says: 'bytes pass through', handler: 'b, _ := io.ReadAll(r.Body)\nfmt.Fprint(w, len(b), b[0])', call: post(Buffer.from([0xff, 0xfe])), answers: { body: '2 255' } },
  { says: 'a status and headers are sent', handler: 'w.Header().Set("X-A", "b")\nw.WriteHeader(201)\nfmt.Fprint(w, "made")', answers: { status: 201, headers: { 'x-a': 'b' }, body: 'made' } },
  { says: 'nothing written is an empty 200', handler: '', answers: { status: 200, body: '', headers: { 'content-length': '0' } } },
  { says: 'method, path and query are as they came', handler: 'fmt.Fprint(w, r.Method, " ", r.URL.Path, " ", r.URL.RawQuery)', call: { method: 'PATCH', path: '/p/q%20r?a=1&b=%20' }, answers: { body: 'PATCH /p/q r a=1&b=%20' } },
  { says: 'a header that comes twice is there twice', handler: 'fmt.Fprint(w, r.Header["X-Two"])', call: { headers: { 'X-Two': ['a', 'b'] } }, answers: { body: '[a b]' } },
  { says: 'Host is the caller’s', handler: 'fmt.Fprint(w, r.Host)', call: { headers: { Host: 'far.example' } }, answers: { body: 'far.example' } },
  { says: 'two cookies are two headers', handler: 'w.Header().Add("Set-Cookie", "a=1")\nw.Header().Add("Set-Cookie", "b=2")', answers: { headers: { 'set-cookie': 'a=1,b=2' } } },
  { says: 'a redirect is the caller’s to follow', handler: 'http.Redirect(w, r, "/there", 302)', answers: { status: 302, headers: { location: '/there' } } },
  { says: 'HEAD has headers and no body', handler: 'w.Header().Set("Content-Length", "5")\nfmt.Fprint(w, "hello")', call: { method: 'HEAD' }, answers: { status: 200, body: '', headers: { 'content-length': '5' } } },
  { says: 'every method arrives', handler: 'fmt.Fprint(w, r.Method)', call: { method: 'PROPFIND' }, answers: { body: 'PROPFIND' } },
  { says: 'a chunked body is a body', handler: 'b, _ := io.ReadAll(r.Body)\nfmt.Fprint(w, r.ContentLength, string(b))', call: { method: 'PUT', body: 'abc', headers: { 'Transfer-Encoding': 'chunked' } }, answers: { body: '-1abc' } },
  { says: 'a large body arrives whole', handler: 'n, _ := io.Copy(io.Discard, r.Body)\nfmt.Fprint(w, n)', call: post(Buffer.alloc(8 << 20)), answers: { body: String(8 << 20) } },
  { says: 'files of static/ are beside the program', handler: 'b, err := os.ReadFile("./static/file.txt")\nfmt.Fprint(w, string(b), err)', answers: { body: 'from static<nil>' } },
  { says: 'there are certificates', handler: 'pool, err := x509.SystemCertPool()\nfmt.Fprint(w, err == nil && !pool.Equal(x509.NewCertPool()))', answers: { body: 'true' } },
  { says: 'there is a place for temporary files', handler: 'f, err := os.CreateTemp("", "x")\nfmt.Fprint(w, err == nil && f.Close() == nil)', answers: { body: 'true' } },
  { says: 'the process is no root', handler: 'fmt.Fprint(w, os.Getuid() > 0)', answers: { body: 'true' } },
  {
    says: 'a panic is a 500, and other calls go on',
    handler: 'panic("boom")',
    answers: { status: 500, body: 'the function panicked: boom\n', headers: { 'x-openfaas-internal': 'of-watchdog' } },
    official: { answers: { status: 500, body: '' }, because: 'the caller learns what happened' },
  },
  {
    says: 'a status that cannot be sent is a 500',
    handler: 'w.WriteHeader(7)',
    answers: { status: 500, body: /invalid WriteHeader code 7/ },
    official: { answers: { status: 500, body: '' }, because: 'the same' },
  },
  { says: 'a handler whose goroutine ends has answered', handler: 'runtime.Goexit()', answers: { status: 200, body: '' }, official: { answers: { status: 500, body: '' }, because: 'nothing depends on it' } },
]

const http: readonly GoRow[] = [
  { says: 'Body is bytes', handler: 'return handler.Response{Body: req.Body}, nil', call: post('中'), answers: { status: 200, type: plain, body: '中' } },
  { says: 'without a status it is 200, without a body it is empty', handler: '', answers: { status: 200, body: '' } },
  { says: 'StatusCode and Header are sent', handler: 'return handler.Response{StatusCode: 202, Header: http.Header{"X-A": {"b", "c"}}}, nil', answers: { status: 202, headers: { 'x-a': 'b, c' } } },
  { says: 'Method, QueryString and Header are the call', handler: 'return handler.Response{Body: []byte(req.Method + " " + req.QueryString + " " + req.Header.Get("X-Thing"))}, nil', call: { method: 'DELETE', path: '/x?a=1&b=%20', headers: { 'X-Thing': 'y' } }, answers: { body: 'DELETE a=1&b=%20 y' } },
  { says: 'Context is there', handler: 'return handler.Response{Body: []byte(fmt.Sprint(req.Context().Err()))}, nil', answers: { body: '<nil>' } },
  { says: 'an error is a 500 with the body', handler: 'return handler.Response{Body: []byte("wrong input"), StatusCode: 201}, errors.New("inner")', answers: { status: 500, body: 'wrong input' } },
  {
    says: 'an error without a body is a 500 with its text',
    handler: 'return handler.Response{}, errors.New("inner")',
    answers: { status: 500, body: 'inner' },
    official: { answers: { status: 500, body: '' }, because: 'an empty 500 helps nobody' },
  },
  {
    says: 'Host is the caller’s',
    handler: 'return handler.Response{Body: []byte(req.Host)}, nil',
    call: { headers: { Host: 'far.example' } },
    answers: { body: 'far.example' },
    official: { answers: { body: '' }, because: 'the field is there to be filled' },
  },
  {
    says: 'a panic is a 500, and other calls go on',
    handler: 'panic("boom")',
    answers: { status: 500, body: 'the function panicked: boom\n' },
    official: { answers: { status: 500, body: '' }, because: 'the caller learns what happened' },
  },
]

const classic: readonly GoRow[] = [
  { says: 'what is returned is the answer, with a line’s end', handler: 'return string(req)', call: post('中', 'text/x-own'), answers: { status: 200, type: 'text/x-own', body: '中\n' } },
  { says: 'what is printed is part of the answer', handler: 'fmt.Print("printed ")\nreturn "returned"', answers: { body: 'printed returned\n' } },
  { says: 'the call is in the environment', handler: 'return os.Getenv("Http_Method") + os.Getenv("Http_Path") + os.Getenv("Http_Query") + os.Getenv("Http_X_Foo_Bar")', call: { method: 'PUT', path: '/p?a=1', headers: { 'X-Foo-Bar': 'baz' } }, answers: { body: 'PUT/pa=1baz\n' } },
  { says: 'an exit status is a 500 with it and the output', handler: 'fmt.Println("before")\nos.Exit(3)', answers: { status: 500, body: 'exit status 3\nbefore\n' } },
  { says: 'a panic is a 500 with the stack', handler: 'panic("boom")', answers: { status: 500, body: /^exit status 2\npanic: boom\n[\s\S]*handler\.go:\d+/ } },
  { says: 'files of static/ are beside the program', handler: 'b, err := os.ReadFile("./static/file.txt")\nreturn fmt.Sprint(string(b), err)', answers: { body: 'from static<nil>\n' } },
  { says: 'OPTIONS is 405', handler: 'return "reached"', call: { method: 'OPTIONS' }, answers: { status: 405, body: '' } },
]

/** Contract 7.3, row by row. */
export const goContract: Readonly<Record<GoContract, readonly GoRow[]>> = { middleware, http, classic }

const ROW = 'X-Row'

/** The call of a row, with the mark by which the handler knows the row. */
export function goCallOf(row: Pick<GoRow, 'call'>, index: number | string): Call {
  return { ...row.call, headers: { ...row.call?.headers, [ROW]: String(index) } }
}

const shapes: Readonly<Record<GoContract, { head: string; row: string; end: string; imports: readonly string[] }>> = {
  middleware: { head: 'func Handle(w http.ResponseWriter, r *http.Request) {', row: 'r.Header.Get("X-Row")', end: '', imports: ['net/http'] },
  http: {
    head: 'func Handle(req handler.Request) (handler.Response, error) {',
    row: 'req.Header.Get("X-Row")',
    end: '\treturn handler.Response{}, nil\n',
    imports: ['github.com/openfaas/templates-sdk/go-http'],
  },
  classic: { head: 'func Handle(req []byte) string {', row: 'os.Getenv("Http_X_Row")', end: '\treturn ""\n', imports: ['os'] },
}

const PACKAGES = ['context', 'crypto/x509', 'errors', 'fmt', 'io', 'net/http', 'os', 'runtime', 'strings', 'time']

/** A handler that does what the row says which a call names. Not formatted as gofmt does: build with FORMAT_ENABLED=false. */
export function goHandlerOf(contract: GoContract, rows: Readonly<Record<string, string>>): string {
  const { head, row, end, imports } = shapes[contract]
  const cases = Object.entries(rows).map(([name, body]) => `\tcase ${JSON.stringify(name)}:\n${body}\n`)
  const body = `${head}\n\tswitch ${row} {\n${cases.join('')}\t}\n${end}}\n`
  const used = PACKAGES.filter((path) => new RegExp(`\\b${path.split('/').at(-1) ?? ''}\\.[A-Z]`).test(body))
  const all = [...new Set([...used, ...imports])].map((path) => (path.endsWith('go-http') ? `\thandler "${path}"` : `\t"${path}"`))
  return `package function\n\nimport (\n${all.join('\n')}\n)\n\n${body}`
}

/** The rows of a contract as the table of a handler. */
export function rowsOf(contract: GoContract): Record<string, string> {
  return Object.fromEntries(goContract[contract].map((row, index) => [String(index), row.handler]))
}
