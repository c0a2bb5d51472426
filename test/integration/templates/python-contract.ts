import type { Call } from './call.ts'
import type { Expected } from './node-contract.ts'

export type PythonContract = 'classic' | 'http' | 'http-debian' | 'flask'

/** One row of contract 7.2: the body of `handle`, what is asked, what must come back. */
export interface PythonRow {
  readonly says: string
  /** Statements of the handler; `req`, or `event` and `context`, are in scope. `async def` where `awaits` is set. */
  readonly handler: string
  readonly awaits?: boolean
  readonly call?: Call
  readonly answers: Expected
  /** Why an image of the official template answers otherwise; the row is then left out for it. */
  readonly differs?: string
}

const plain = 'text/plain; charset=utf-8'
const html = 'text/html; charset=utf-8'
const post = (body: string | Buffer, type?: string): Call => ({
  method: 'POST',
  body,
  headers: type === undefined ? {} : { 'Content-Type': type },
})

const classic: readonly PythonRow[] = [
  { says: 'the body is text, and what is returned is printed', handler: 'return req', call: post('中文', 'text/plain'), answers: { type: 'text/plain', body: '中文\n' } },
  { says: 'without a content type the answer is plain text', handler: 'return type(req).__name__', answers: { type: plain, body: 'str\n' } },
  { says: 'None is empty', handler: 'return None', answers: { status: 200, body: '' } },
  { says: 'bytes are sent as they are', handler: 'return b"raw"', answers: { body: 'raw' } },
  { says: 'anything else is printed', handler: 'return {"a": 1}', answers: { body: "{'a': 1}\n" } },
  { says: 'bytes that are no UTF-8 pass through', handler: 'return str(len(req))', call: post(Buffer.from([0xff, 0xfe])), answers: { body: '2\n' } },
  {
    says: 'the call is in Http_* variables',
    handler: 'return " ".join(os.environ[k] for k in ("Http_Method", "Http_Query", "Http_X_Foo_Bar", "Http_Content_Length"))',
    call: { method: 'PUT', path: '/x?a=1&b=%20', headers: { 'X-Foo-Bar': 'baz' }, body: 'abc' },
    answers: { body: 'PUT a=1&b=%20 baz 3\n' },
  },
  { says: 'Http_Query is absent without a query', handler: 'return os.getenv("Http_Query", "none")', answers: { body: 'none\n' } },
  { says: 'what the handler prints is not in the answer', handler: 'print("to the log")\n    return "answer"', answers: { body: 'answer\n' } },
  { says: 'an exception is a 500 with the exit status and the traceback', handler: 'raise ValueError("boom")', answers: { status: 500, body: /^exit status 1\n[\s\S]*handler\.py[\s\S]*ValueError: boom/ } },
  { says: 'sys.exit is a 500 with its status', handler: 'sys.exit(3)', answers: { status: 500, body: 'exit status 3\n' } },
  { says: 'async def works', handler: 'await asyncio.sleep(0)\n    return req + os.environ["Http_Method"]', awaits: true, call: post('x'), answers: { body: 'xPOST\n' } },
  { says: 'OPTIONS is 405', handler: 'return "reached"', call: { method: 'OPTIONS' }, answers: { status: 405 } },
  { says: 'HEAD is 405', handler: 'return "reached"', call: { method: 'HEAD' }, answers: { status: 405, body: '' } },
  { says: 'an object that cannot be printed is a 500', handler: 'return type("T", (), {"__str__": lambda self: 1 / 0})()', answers: { status: 500, body: /ZeroDivisionError/ } },
  { says: 'sys.exit(0) is an empty 200', handler: 'sys.exit()', answers: { status: 200, body: '' } },
  { says: 'a chunked body arrives whole', handler: 'return req', call: { method: 'POST', body: 'chunks', headers: { 'Transfer-Encoding': 'chunked' } }, answers: { body: 'chunks\n' } },
  { says: 'the variables can be counted and listed', handler: 'return len(os.environ) == len(list(os.environ))', answers: { body: 'True\n' } },
]

const http: readonly PythonRow[] = [
  { says: 'event.body is bytes', handler: 'return {"body": event.body.hex()}', call: post('hi'), answers: { status: 200, type: html, body: '6869' } },
  {
    says: 'event has method, path, query and headers',
    handler: 'return {"body": f"{event.method} {event.path} {event.query.get(\'a\')} {event.query.getlist(\'a\')} {event.headers[\'x-thing\']}"}',
    call: { method: 'PATCH', path: '/p/q?a=1&a=2', headers: { 'X-Thing': 'y' } },
    answers: { body: /^PATCH \/\d+\/p\/q 1 \['1', '2'\] y$/ },
  },
  { says: 'context has the host name', handler: 'return {"body": context.hostname == os.environ["HOSTNAME"]}', answers: { body: 'True' } },
  { says: 'a status, headers and a dict as body', handler: 'return {"statusCode": 201, "body": {"b": 1, "a": "ä"}, "headers": {"X-A": "b"}}', answers: { status: 201, type: 'application/json', headers: { 'x-a': 'b' }, body: /"a":"(ä|\\u00e4)"/ } },
  { says: 'headers may be pairs', handler: 'return {"body": "x", "headers": [("X-A", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]}', answers: { headers: { 'x-a': '1', 'set-cookie': 'a=1,b=2' } } },
  { says: 'another body is its str()', handler: 'return {"body": [1, "x"]}', answers: { body: "[1, 'x']" } },
  { says: 'without a body the answer is empty', handler: 'return {"statusCode": 202}', answers: { status: 202, body: '' } },
  { says: 'None is an empty 200', handler: 'return None', answers: { status: 200, body: '' } },
  { says: 'what Flask understands is taken', handler: 'return "teapot", 418', answers: { status: 418, body: 'teapot' } },
  { says: 'async def works', handler: 'await asyncio.sleep(0)\n    return {"body": event.body.decode()}', awaits: true, call: post('x'), answers: { body: 'x' }, differs: 'async def is not known there' },
  { says: 'an exception is a 500', handler: 'raise ValueError("boom")', answers: { status: 500, body: /Internal Server Error/ } },
  { says: 'HEAD has no body', handler: 'return {"body": "hello"}', call: { method: 'HEAD' }, answers: { status: 200, body: '', headers: { 'content-length': '5' } } },
  { says: 'TRACE is 405', handler: 'return None', call: { method: 'TRACE' }, answers: { status: 405 } },
  { says: 'sys.exit is a 500 and not the end', handler: 'sys.exit(3)', answers: { status: 500 },
    differs: 'there nobody answers, and the caller waits until exec_timeout', },
  { says: 'the body of a GET is empty', handler: 'return {"body": repr(event.body)}', answers: { body: "b''" } },
  { says: 'a chunked body arrives whole', handler: 'return {"body": event.body}', call: { method: 'POST', body: 'chunks', headers: { 'Transfer-Encoding': 'chunked' } }, answers: { body: "b'chunks'" } },
  { says: 'a body that is no text arrives byte by byte', handler: 'return {"body": list(event.body)}', call: post(Buffer.from([0, 255, 13, 10])), answers: { body: '[0, 255, 13, 10]' } },
  { says: 'a form is not parsed away', handler: 'return {"body": event.body}', call: post('a=1&b=2', 'application/x-www-form-urlencoded'), answers: { body: "b'a=1&b=2'" } },
  { says: 'the path is decoded, and has no query', handler: 'return {"body": event.path.split("/", 2)[2]}', call: { path: '/caf%C3%A9%20x/?q=1' }, answers: { body: 'café x/' } },
  { says: 'the query is decoded', handler: 'return {"body": event.query["q"] + event.query.get("none", "-")}', call: { path: '?q=%E4%B8%AD+%26' }, answers: { body: '中 &-' } },
  { says: 'headers are found in any case, and missing ones are None', handler: 'return {"body": [event.headers["CONTENT-type"], event.headers.get("nope")]}', call: post('x', 'a/b'), answers: { body: "['a/b', None]" } },
  { says: 'DELETE, PUT and PATCH reach the handler', handler: 'return {"body": event.method}', call: { method: 'DELETE' }, answers: { body: 'DELETE' } },
  { says: 'OPTIONS is answered by Flask', handler: 'return {"body": "reached"}', call: { method: 'OPTIONS' }, answers: { status: 200, body: '' } },
  { says: 'an unknown method is 405', handler: 'return {"body": "reached"}', call: { method: 'PROPFIND' }, answers: { status: 405 } },
  { says: 'an empty dict is an empty 200', handler: 'return {}', answers: { status: 200, type: html, body: '' } },
  { says: 'None as body is its str()', handler: 'return {"body": None}', answers: { body: 'None' } },
  { says: 'a number as body is its str()', handler: 'return {"body": 1.5}', answers: { type: html, body: '1.5' } },
  { says: 'text keeps its content type unless headers say otherwise', handler: 'return {"body": "{}", "headers": {"Content-Type": "application/json"}}', answers: { type: 'application/json', body: '{}' } },
  { says: 'a subclass of dict is what Flask makes of it', handler: 'import collections\n    return collections.OrderedDict(body="x")', answers: { type: 'application/json', body: /\{"body":\s?"x"\}/ } },
  { says: 'a list is JSON', handler: 'return [1, 2]', answers: { type: 'application/json', body: /\[1,\s?2\]/ } },
  { says: "Flask's own Response is taken", handler: 'import flask\n    return flask.Response("x", 203, {"X-A": "b"}, mimetype="text/css")', answers: { status: 203, type: 'text/css; charset=utf-8', headers: { 'x-a': 'b' }, body: 'x' } },
  { says: 'a redirect is passed on', handler: 'import flask\n    return flask.redirect("/else", 307)', answers: { status: 307, headers: { location: '/else' } } },
  { says: 'abort() is its status', handler: 'import flask\n    flask.abort(404)', answers: { status: 404, body: /Not Found/ } },
  { says: 'a generator is sent part by part', handler: 'return (part for part in ("a", "b"))', answers: { status: 200, type: html, body: 'ab' } },
  { says: '204 has no body', handler: 'return {"statusCode": 204, "body": "x"}', answers: { status: 204, body: '' } },
  { says: 'a status of its own is passed on', handler: 'return {"statusCode": 299, "body": "x"}', answers: { status: 299, body: 'x' } },
  { says: 'another object is a 500', handler: 'return 5', answers: { status: 500 } },
  { says: 'what is no JSON is a 500', handler: 'return {"body": {"a": {1, 2}}}', answers: { status: 500, body: /Internal Server Error/ } },
  { says: 'circular JSON is a 500', handler: 'a = {}\n    a["a"] = a\n    return {"body": a}', answers: { status: 500, body: /Internal Server Error/ } },
  { says: 'endless recursion is a 500', handler: 'f = lambda: f()\n    return f()', answers: { status: 500 } },
]

const octets = 'return {"body": b"\\xff\\x00", "headers": {"Content-type": "application/octet-stream"}}'

const flask: readonly PythonRow[] = [
  { says: 'req is text', handler: 'return type(req).__name__ + " " + req', call: post('中', 'text/plain'), answers: { status: 200, type: html, body: 'str 中' } },
  { says: 'a dict is JSON', handler: 'return {"a": 1}', answers: { type: 'application/json', body: /\{"a":\s?1\}/ } },
  { says: 'a tuple has status and headers', handler: 'return "x", 201, {"X-A": "b"}', answers: { status: 201, headers: { 'x-a': 'b' }, body: 'x' } },
  { says: "Flask's own request is at hand", handler: 'import flask\n    return flask.request.args["a"]', call: { path: '?a=5' }, answers: { body: '5' } },
  { says: 'None is a 500', handler: 'return None', answers: { status: 500 } },
  { says: 'PUT is 405', handler: 'return "x"', call: { method: 'PUT' }, answers: { status: 405 } },
  { says: 'async def works', handler: 'await asyncio.sleep(0)\n    return req', awaits: true, call: post('x', 'text/plain'), answers: { body: 'x' }, differs: 'async def is not known there' },
  { says: 'a list is JSON', handler: 'return [1]', answers: { type: 'application/json' } },
  { says: 'bytes are sent as they are', handler: 'return b"raw"', answers: { type: html, body: 'raw' } },
  { says: "Flask's own Response is taken", handler: 'import flask\n    return flask.make_response("x", 418)', answers: { status: 418, body: 'x' } },
  { says: 'abort() is its status', handler: 'import flask\n    flask.abort(403)', answers: { status: 403 } },
  { says: 'a generator is sent part by part', handler: 'return (part for part in ("a", "b"))', answers: { status: 200, body: 'ab' } },
  { says: 'a chunked body arrives whole', handler: 'return req', call: { method: 'POST', body: 'chunks', headers: { 'Transfer-Encoding': 'chunked', 'Content-Type': 'text/plain' } }, answers: { body: 'chunks' } },
  { says: 'bytes that are no UTF-8 are replaced', handler: 'return str(len(req))', call: post(Buffer.from([0xff, 0x41])), answers: { body: '2' } },
  { says: 'HEAD has no body', handler: 'return "hello"', call: { method: 'HEAD' }, answers: { status: 200, body: '', headers: { 'content-length': '5' } } },
  { says: 'OPTIONS is answered by Flask', handler: 'return "reached"', call: { method: 'OPTIONS' }, answers: { status: 200, body: '' } },
  { says: 'an exception is a 500', handler: 'raise ValueError("boom")', answers: { status: 500, body: /Internal Server Error/ } },
]

/** With RAW_BODY=true. */
export const rawFlaskContract: readonly PythonRow[] = [
  { says: 'req is bytes', handler: 'return repr(req)', call: post('hi', 'text/plain'), answers: { body: "b'hi'" } },
  { says: 'bytes come back as they are', handler: 'return req', call: post('hi'), answers: { body: 'hi' } },
]

/** Contract 7.2, row by row; `differs` says where and why an image of the official template answers otherwise. */
export const pythonContract: Readonly<Record<PythonContract, readonly PythonRow[]>> = {
  classic,
  http: [...http, { says: 'bytes are their str(), as there', handler: octets, answers: { body: "b'\\xff\\x00'" } }],
  'http-debian': [
    { says: 'bytes are sent as they are where Content-type says octet-stream', handler: octets, answers: { type: 'application/octet-stream', headers: { 'content-length': '2' } } },
    { says: 'without that header bytes are their str()', handler: 'return {"body": b"x"}', answers: { body: "b'x'" } },
  ],
  flask,
}

const pathOf: Readonly<Record<PythonContract, string>> = {
  classic: 'os.environ["Http_Path"]',
  http: 'args[0].path',
  'http-debian': 'args[0].path',
  flask: '__import__("flask").request.path',
}

/** One handler.py that holds all handlers of a contract; the first step of the path says which row is meant. */
export function pythonHandlerOf(contract: PythonContract, rows = pythonContract[contract]): string {
  const parameters = contract.startsWith('http') ? 'event, context' : 'req'
  const functions = rows.map(
    (row, index) =>
      `${row.awaits === true ? 'async ' : ''}def row${String(index)}(${parameters}):\n    ${row.handler}\n`,
  )
  return `import asyncio
import os
import sys

${functions.join('\n')}
def handle(*args):
    return globals()["row" + ${pathOf[contract]}.split("/")[1]](*args)
`
}

export function pythonCallOf(row: PythonRow, index: number): Call {
  return { ...row.call, path: `/${String(index)}${row.call?.path ?? ''}` }
}
