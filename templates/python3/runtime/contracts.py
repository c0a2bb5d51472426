"""What a handler of each contract is given, and what becomes of its answer.

A contract takes a WSGI environment and the handler's function, and returns (status, headers, body): bytes, or an
iterator where the handler streams.
"""

import contextvars
import os
import sys
import traceback

from .log import log, write
from .settings import CONTRACT, RAW_BODY
from .work import async_loop

# --- classic ----------------------------------------------------------------------------------------------------------

_cgi = contextvars.ContextVar("cgi", default={})


class CallEnviron(os._Environ):
    """The classic watchdog forks per call and hands over Http_* variables. Here each call sees its own."""

    def __getitem__(self, key):
        call = _cgi.get()
        return call[key] if key in call else super().__getitem__(key)

    def __iter__(self):
        yield from super().__iter__()
        yield from _cgi.get()

    def __len__(self):
        return super().__len__() + len(_cgi.get())


def cgi_variables(environ):
    variables = {
        "Http_Method": environ["REQUEST_METHOD"],
        "Http_Path": environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace"),
    }
    if environ.get("QUERY_STRING"):
        variables["Http_Query"] = environ["QUERY_STRING"]
    length = environ.get("CONTENT_LENGTH", "") or "0"
    variables["Http_ContentLength"] = variables["Http_Content_Length"] = length
    if environ.get("CONTENT_TYPE"):
        variables["Http_Content_Type"] = environ["CONTENT_TYPE"]
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            variables["Http_" + "_".join(part.capitalize() for part in key[5:].split("_"))] = value
    return variables


TEXT = [("Content-Type", "text/plain; charset=utf-8")]


def classic(environ, handle):
    """handle(req): the body as text; what is returned is printed, so text ends in a newline."""
    if environ["REQUEST_METHOD"] not in ("POST", "PUT", "PATCH", "DELETE", "GET"):
        return 405, [], b""
    body = environ["wsgi.input"].read()
    kind = os.environ.get("content_type") or environ.get("CONTENT_TYPE") or "text/plain; charset=utf-8"
    headers = [("Content-Type", kind)]
    _cgi.set(cgi_variables(environ))
    try:
        result = async_loop.settle(handle(body.decode("utf-8", "surrogateescape")))
        if result is None:
            answer = b""
        elif isinstance(result, (bytes, bytearray)):
            answer = bytes(result)
        else:
            answer = f"{result}\n".encode("utf-8", "surrogateescape")
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else (0 if error.code is None else 1)
        if code == 0:
            return 200, headers, b""
        log(f"the handler called sys.exit({error.code!r})")
        return 500, TEXT, f"exit status {code}\n".encode()
    except Exception:
        text = traceback.format_exc()
        write(text)
        return 500, TEXT, f"exit status 1\n{text}".encode("utf-8", "replace")
    return 200, headers, answer


# --- http and flask ---------------------------------------------------------------------------------------------------


def flask_contract(make_view, methods):
    """A Flask application with one view for every path."""
    from flask import Flask

    app = Flask("function", static_folder=None)
    handler = contextvars.ContextVar("handler")
    view = make_view(handler)
    app.add_url_rule("/", "root", view, defaults={"path": ""}, methods=methods)
    app.add_url_rule("/<path:path>", "path", view, methods=methods)

    def contract(environ, handle):
        handler.set(handle)
        said = []

        def start_response(line, headers, exc_info=None):
            said[:] = [int(line.split(" ", 1)[0]), headers]

        answer = app(environ, start_response)
        status, headers = said
        measured = any(name.lower() == "content-length" for name, _ in headers)
        # Flask measures every body but one that is made while it is sent.
        if not measured and status not in (204, 304) and environ["REQUEST_METHOD"] != "HEAD":
            return status, headers, answer
        try:
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return status, headers, body

    return contract


def flask_view(handler):
    from flask import request

    def view(path):
        return async_loop.settle(handler.get()(request.get_data(as_text=not RAW_BODY)))

    return view


def http_view(handler):
    from flask import jsonify, request

    class Event:
        def __init__(self):
            self.body = request.get_data()
            self.headers = request.headers
            self.method = request.method
            self.query = request.args
            self.path = request.path

    class Context:
        def __init__(self):
            self.hostname = os.getenv("HOSTNAME", "localhost")

    def body_of(result, headers):
        body = result.get("body", "")
        # Before the dict, as there: it is the header that decides.
        if CONTRACT == "http-debian" and dict(headers).get("Content-type") == "application/octet-stream":
            return body
        return jsonify(body) if type(body) is dict else str(body)

    def view(path):
        result = async_loop.settle(handler.get()(Event(), Context()))
        if result is None:
            return "", 200
        if type(result) is not dict:
            return result
        headers = result.get("headers", [])
        pairs = list(headers.items()) if isinstance(headers, dict) else headers
        return body_of(result, pairs), result.get("statusCode", 200), pairs

    return view


def make_contract():
    if CONTRACT == "classic":
        os.environ.__class__ = CallEnviron
        return classic
    if CONTRACT in ("flask", "flask-debian"):
        return flask_contract(flask_view, ["POST", "GET"])
    if CONTRACT in ("http", "http-debian"):
        return flask_contract(http_view, ["GET", "PUT", "POST", "PATCH", "DELETE"])
    log(f"function_contract={CONTRACT} is unknown: classic, http, http-debian, flask and flask-debian are known")
    sys.exit(1)
