"""The Python runtime of a function: waitress serves port 8080, and this file is its watchdog.

What a handler sees is decided by the contract the image was built for (`lang` in the stack file):
  classic      handle(req): text in, the return value is printed             python3
  http         handle(event, context): dict out                              python3-http
  http-debian  the same, octet-stream answers may be bytes                   python3-http-debian
  flask        handle(req): whatever Flask accepts                           python3-flask
README.md lists what differs from the official templates on purpose.
"""

import atexit
import contextvars
import inspect
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections import deque
from http import HTTPStatus

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher

HOME = os.path.dirname(os.path.abspath(__file__))
CONTRACT = os.environ.get("function_contract", "classic")

# --- settings ---------------------------------------------------------------------------------------------------------

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


def go_duration(text):
    """Seconds of a Go duration such as 1m30s, None when it is none."""
    if not re.fullmatch(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+", text):
        return None
    return sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION.findall(text))


class Limit:
    """A time limit: seconds (0 means none), the setting's name, and its value as the user wrote it."""

    def __init__(self, name, seconds, text):
        self.name = name
        self.seconds = seconds
        self.text = text


def time_limit(name, fallback):
    text = os.environ.get(name, "") or fallback
    if text.isdigit():
        return Limit(name, float(text), text + "s")
    seconds = go_duration(text)
    if seconds is None:
        log(f"{name}={text} is no duration such as 10s, 1m30s or whole seconds; {fallback} is used")
        return Limit(name, go_duration(fallback) or 0.0, fallback)
    return Limit(name, seconds, text)


def whole_number(name, fallback):
    text = os.environ.get(name, "")
    if text == "":
        return fallback
    if text.isdigit():
        return int(text)
    log(f"{name}={text} is no whole number; {fallback} is used")
    return fallback


def flag(name, fallback):
    text = os.environ.get(name, "")
    return fallback if text == "" else text in ("true", "1")


# --- log --------------------------------------------------------------------------------------------------------------

_stderr = sys.stderr


def log(line):
    _stderr.write(f"{time.strftime('%Y/%m/%d %H:%M:%S')} {line}\n")
    _stderr.flush()


class PrefixedStream:
    """`prefix_logs`: each line that the handler prints gets a time and the name of the stream."""

    def __init__(self, stream, name):
        self._stream = stream
        self._name = name
        self._rest = ""
        self._lock = threading.Lock()

    def write(self, text):
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
            for line in lines:
                self._stream.write(f"{time.strftime('%Y/%m/%d %H:%M:%S')} {self._name}: {line}\n")
            if lines:
                self._stream.flush()
        return len(text)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def human_size(size):
    """230B, 1.5kB: as Docker's units library prints sizes, four significant digits."""
    units = ["B", "kB", "MB", "GB", "TB"]
    unit = 0
    value = float(size)
    while value >= 1000 and unit < len(units) - 1:
        value /= 1000
        unit += 1
    return f"{value:.4g}{units[unit]}"


READ_TIMEOUT = time_limit("read_timeout", "30s")
WRITE_TIMEOUT = time_limit("write_timeout", "30s")
EXEC_TIMEOUT = time_limit("exec_timeout", "0s" if CONTRACT == "classic" else "30s")
MAX_INFLIGHT = whole_number("max_inflight", 0)
READY_PATH = os.environ.get("ready_path", "")
LOG_CALL_ID = flag("log_callid", False)
RAW_BODY = os.environ.get("RAW_BODY", "") in ("true", "True", "1")

# --- running handlers -------------------------------------------------------------------------------------------------


class Generation:
    """What answers now. A later version of the handler becomes a new generation; calls in flight keep theirs."""

    def __init__(self, number, handle):
        self.number = number
        self.handle = handle


generation = None
watchdog = None


class Workers:
    """Threads that run handlers. A thread cannot be stopped, so one that overruns its limit is left behind."""

    def __init__(self):
        self._idle = deque()

    def start(self, work):
        """Runs `work` on an idle thread, or on a new one. Returns an outcome to wait for."""
        outcome = Outcome(contextvars.copy_context(), work)
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = Worker(self._idle)
        worker.give(outcome)
        return outcome


class Worker:
    def __init__(self, idle):
        self._idle = idle
        self._wake = threading.Semaphore(0)
        self._outcome = None
        threading.Thread(target=self._loop, daemon=True, name="handler").start()

    def give(self, outcome):
        self._outcome = outcome
        self._wake.release()

    def _loop(self):
        while True:
            self._wake.acquire()
            outcome, self._outcome = self._outcome, None
            self._idle.append(self) if outcome.run() else None


class Outcome:
    """The answer of a handler, once it is there."""

    def __init__(self, context, work):
        self._context = context
        self._work = work
        self._done = threading.Lock()
        self._done.acquire()
        self.answer = None

    def run(self):
        try:
            self.answer = self._context.run(self._work)
        except BaseException as error:  # SystemExit too: a handler must not end the thread
            self.answer = error
        self._done.release()
        return True

    def wait(self, seconds):
        """True when the answer is there within `seconds` (0: however long it takes)."""
        return self._done.acquire(timeout=seconds) if seconds > 0 else self._done.acquire()


class AsyncLoop:
    """One event loop for every `async def` handler, started when the first one is met."""

    def __init__(self):
        self._lock = threading.Lock()
        self._loop = None

    def settle(self, result):
        if not inspect.isawaitable(result):
            return result
        import asyncio

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True, name="asyncio").start()

        async def awaited():
            return await result

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()


workers = Workers()
async_loop = AsyncLoop()

# --- contracts --------------------------------------------------------------------------------------------------------
# A contract takes a WSGI environment and returns (status, headers, body bytes).

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


def classic(environ):
    """handle(req): the body as text; what is returned is printed, so text ends in a newline."""
    if environ["REQUEST_METHOD"] not in ("POST", "PUT", "PATCH", "DELETE", "GET"):
        return 405, [], b""
    body = environ["wsgi.input"].read()
    kind = os.environ.get("content_type") or environ.get("CONTENT_TYPE") or "text/plain; charset=utf-8"
    headers = [("Content-Type", kind)]
    _cgi.set(cgi_variables(environ))
    try:
        result = async_loop.settle(generation.handle(body.decode("utf-8", "surrogateescape")))
        code = 0
    except SystemExit as error:
        result = None
        code = error.code if isinstance(error.code, int) else (0 if error.code is None else 1)
    except Exception:
        text = traceback.format_exc()
        _stderr.write(text)
        return 500, [("Content-Type", "text/plain; charset=utf-8")], f"exit status 1\n{text}".encode("utf-8", "replace")
    if code != 0:
        log(f"the handler called sys.exit({code})")
        return 500, [("Content-Type", "text/plain; charset=utf-8")], f"exit status {code}\n".encode()
    if result is None:
        return 200, headers, b""
    if isinstance(result, (bytes, bytearray)):
        return 200, headers, bytes(result)
    return 200, headers, f"{result}\n".encode("utf-8", "surrogateescape")


def flask_contract(make_view, methods):
    """A Flask application with one view for every path; its answer is collected."""
    from flask import Flask

    app = Flask("function", static_folder=None)
    view = make_view()
    app.add_url_rule("/", "root", view, defaults={"path": ""}, methods=methods)
    app.add_url_rule("/<path:path>", "path", view, methods=methods)

    def contract(environ):
        status = []

        def start_response(line, headers, exc_info=None):
            status[:] = [int(line.split(" ", 1)[0]), headers]

        answer = app(environ, start_response)
        try:
            body = b"".join(answer)
        finally:
            if hasattr(answer, "close"):
                answer.close()
        return status[0], status[1], body

    return contract


def flask_view():
    from flask import request

    def view(path):
        return async_loop.settle(generation.handle(request.get_data(as_text=not RAW_BODY)))

    return view


def http_view():
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
        if isinstance(body, dict):
            return jsonify(body)
        if CONTRACT == "http-debian" and dict(headers).get("Content-type") == "application/octet-stream":
            return body
        return str(body)

    def view(path):
        result = async_loop.settle(generation.handle(Event(), Context()))
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


# --- metrics ----------------------------------------------------------------------------------------------------------


class Metrics:
    """The three series of the official watchdogs."""

    BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

    def __init__(self):
        self._lock = threading.Lock()
        self._series = {}

    def count(self, method, status, seconds):
        key = f'code="{status}",method="{method.lower()}"'
        with self._lock:
            one = self._series.setdefault(key, [0, 0.0, [0] * len(self.BUCKETS)])
            one[0] += 1
            one[1] += seconds
            for i, most in enumerate(self.BUCKETS):
                if seconds <= most:
                    one[2][i] += 1

    def text(self, inflight):
        totals, durations = [], []
        with self._lock:
            for key, (total, seconds, within) in self._series.items():
                name = "http_request_duration_seconds"
                totals.append(f"http_requests_total{{{key}}} {total}")
                for most, n in zip(self.BUCKETS, within):
                    durations.append(f'{name}_bucket{{{key},le="{most}"}} {n}')
                durations.append(f'{name}_bucket{{{key},le="+Inf"}} {total}')
                durations.append(f"{name}_sum{{{key}}} {seconds}")
                durations.append(f"{name}_count{{{key}}} {total}")
        return "\n".join(
            ["# HELP http_requests_total Total number of HTTP requests made.", "# TYPE http_requests_total counter"]
            + totals
            + [
                "# HELP http_request_duration_seconds Seconds spent serving HTTP requests.",
                "# TYPE http_request_duration_seconds histogram",
            ]
            + durations
            + [
                "# HELP http_requests_in_flight Number of HTTP requests being served.",
                "# TYPE http_requests_in_flight gauge",
                f"http_requests_in_flight {inflight}",
                "",
            ]
        )


def serve_metrics(port):
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path.split("?")[0] == "/metrics"
            body = (metrics.text(watchdog.inflight) if found else "404 page not found\n").encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    try:
        ThreadingHTTPServer(("0.0.0.0", port), Handler).serve_forever()
    except OSError as error:
        log(f"no metrics: {error}")


metrics = Metrics()

# --- watchdog ---------------------------------------------------------------------------------------------------------

LOCK_FILE = "/tmp/.lock"


class Watchdog:
    """The WSGI application: health, limits, counting, and the contract behind them."""

    def __init__(self, contract):
        self._contract = contract
        self._lock = threading.Lock()
        self._lock_written = False
        self.inflight = 0
        self.draining = False

    def write_lock(self):
        if flag("suppress_lock", False):
            return
        try:
            os.close(os.open(LOCK_FILE, os.O_CREAT | os.O_WRONLY, 0o640))
            self._lock_written = True
        except OSError:
            pass  # a read-only file system without /tmp: health then follows the process alone

    def remove_lock(self):
        if self._lock_written:
            try:
                os.unlink(LOCK_FILE)
            except OSError:
                pass

    def healthy(self):
        return not self.draining and (not self._lock_written or os.path.exists(LOCK_FILE))

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/_/health":
            return self._health(environ, start_response)
        if path == "/_/ready":
            return self._ready(environ, start_response)
        return self._call(environ, start_response)

    def _health(self, environ, start_response):
        if environ["REQUEST_METHOD"] != "GET":
            return say(start_response, 405, "")
        return say(start_response, 200, "OK") if self.healthy() else say(start_response, 503, "")

    def _ready(self, environ, start_response):
        if environ["REQUEST_METHOD"] != "GET":
            return say(start_response, 405, "")
        if not self.healthy():
            return say(start_response, 503, "")
        if 0 < MAX_INFLIGHT <= self.inflight:
            return say(start_response, 429, "")
        if READY_PATH:
            environ["PATH_INFO"], _, environ["QUERY_STRING"] = READY_PATH.partition("?")
            return self._call(environ, start_response)
        return say(start_response, 200, "OK")

    def _enter(self):
        with self._lock:
            if 0 < MAX_INFLIGHT <= self.inflight:
                return False
            self.inflight += 1
            return True

    def _call(self, environ, start_response):
        method = environ["REQUEST_METHOD"]
        if not self._enter():
            metrics.count(method, 429, 0.0)
            text = f"Concurrent request limit exceeded. Max concurrent requests: {MAX_INFLIGHT}"
            start_response(
                "429 Too Many Requests",
                [("Content-Type", "text/plain"), ("X-OpenFaaS-Internal", "faas-middleware")] + length_of(text),
            )
            return [text.encode()]
        started = time.perf_counter()
        status, size = 500, 0
        try:
            status, headers, body = self._answer(environ)
            size = len(body)
            seconds = time.perf_counter() - started
            kept = [
                (str(name), str(value))
                for name, value in headers
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "x-duration-seconds")
            ]
            if status not in (204, 304):
                # Flask leaves out the body of a HEAD itself, and says how long it would have been.
                said = [value for name, value in headers if name.lower() == "content-length"]
                kept.append(("Content-Length", said[0] if method == "HEAD" and said else str(size)))
            kept.append(("X-Duration-Seconds", f"{seconds:.6f}"))
            start_response(f"{status} {phrase_of(status)}", kept)
            return [b"" if method == "HEAD" or status in (204, 304) else body]
        finally:
            with self._lock:
                self.inflight -= 1
            seconds = time.perf_counter() - started
            metrics.count(method, status, seconds)
            if not environ.get("HTTP_USER_AGENT", "").startswith("kube-probe"):
                call_id = f" [{environ.get('HTTP_X_CALL_ID', 'none')}]" if LOG_CALL_ID else ""
                log(
                    f"{method} {uri_of(environ)} - {status} {phrase_of(status)}"
                    f" - ContentLength: {human_size(size)} ({seconds:.4f}s){call_id}"
                )

    def _answer(self, environ):
        limit = call_limit(environ)
        outcome = workers.start(lambda: self._contract(environ))
        if outcome.wait(limit.seconds):
            answer = outcome.answer
            if not isinstance(answer, BaseException):
                return answer
            text = "".join(traceback.format_exception(type(answer), answer, answer.__traceback__))
            _stderr.write(text)
            return 500, PLAIN, f"{type(answer).__name__}: {answer}".encode("utf-8", "replace")
        log(f"{environ['REQUEST_METHOD']} {uri_of(environ)}: no answer within {limit.name} of {limit.text}")
        if CONTRACT == "classic" and limit.name == "exec_timeout":
            return 408, PLAIN, b"Killed process."
        text = f"the function gave no answer within its {limit.name} of {limit.text}"
        return 504, PLAIN + [("X-OpenFaaS-Internal", "of-watchdog")], text.encode()


PLAIN = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]


def call_limit(environ):
    """The shorter of what the function allows and what this caller asks for."""
    limit = EXEC_TIMEOUT
    wanted = environ.get("HTTP_X_TIMEOUT")
    seconds = go_duration(wanted) if wanted else None
    if seconds is not None and (limit.seconds == 0 or seconds < limit.seconds):
        limit = Limit("X-Timeout", seconds, wanted)
    if WRITE_TIMEOUT.seconds > 0 and (limit.seconds == 0 or WRITE_TIMEOUT.seconds < limit.seconds):
        limit = WRITE_TIMEOUT
    return limit


def phrase_of(status):
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def uri_of(environ):
    query = environ.get("QUERY_STRING")
    return environ.get("REQUEST_URI") or environ["PATH_INFO"] + (f"?{query}" if query else "")


def length_of(text):
    return [("Content-Length", str(len(text.encode())))]


def say(start_response, status, text):
    start_response(f"{status} {phrase_of(status)}", [("Content-Type", "text/plain; charset=utf-8")] + length_of(text))
    return [text.encode()]


# --- server -----------------------------------------------------------------------------------------------------------


class GrowingDispatcher(ThreadedTaskDispatcher):
    """waitress's threads, started as they are needed: a slow handler must not keep health waiting."""

    MOST = 256

    def add_task(self, task):
        if len(self.threads) < self.MOST and self.active_count + len(self.queue) >= len(self.threads):
            self.set_thread_count(len(self.threads) + 1)
        super().add_task(task)


class Channel(HTTPChannel):
    """A connection that knows since when a request has been coming in: what `read_timeout` is about."""

    began = 0.0

    def received(self, data):
        if self.request is None:
            self.began = time.monotonic()
        return super().received(data)


def watch_reads(server):
    """Closes connections whose request takes longer than `read_timeout` to arrive."""
    cleanup = server.maintenance

    def maintenance(now):
        cleanup(now)
        latest = time.monotonic() - READ_TIMEOUT.seconds
        for channel in list(server.active_channels.values()):
            if channel.request is not None and 0 < channel.began < latest:
                log(f"a request was not read within its read_timeout of {READ_TIMEOUT.text}")
                channel.will_close = True

    if READ_TIMEOUT.seconds > 0:
        server.maintenance = maintenance


def drain(server, name):
    """SIGTERM: no new work, what is in flight is finished, then the process ends; at once when it is idle."""
    deadline = time.monotonic() + WRITE_TIMEOUT.seconds if WRITE_TIMEOUT.seconds > 0 else None
    log(f"{name}: {watchdog.inflight} calls in flight are finished first")

    def busy():
        return watchdog.inflight > 0 or any(
            channel.requests or channel.total_outbufs_len for channel in list(server.active_channels.values())
        )

    while busy():
        if deadline is not None and time.monotonic() > deadline:
            log(f"still {watchdog.inflight} calls in flight after write_timeout")
            break
        time.sleep(0.005)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # Threads of handlers that overran their limit would keep an ordinary exit waiting.
    os._exit(0)


def stop_on(signum, server):
    def on_signal(number, frame):
        if watchdog.draining:
            return
        watchdog.draining = True
        watchdog.remove_lock()
        wasyncore.dispatcher.close(server)
        name = signal.Signals(number).name
        threading.Thread(target=drain, args=(server, name), daemon=True).start()

    signal.signal(signum, on_signal)


def load():
    sys.path.insert(0, HOME)
    try:
        from function import handler
    except BaseException:
        log("the handler failed to load")
        traceback.print_exc(file=_stderr)
        sys.exit(1)
    if not callable(getattr(handler, "handle", None)):
        arguments = "event, context" if CONTRACT.startswith("http") else "req"
        log(f"{handler.__file__} has no function handle: write def handle({arguments}):")
        sys.exit(1)
    return Generation(1, handler.handle)


def serve():
    """Loads the handler, then listens; never returns."""
    global generation, watchdog
    import logging

    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    if flag("prefix_logs", True):
        sys.stdout = PrefixedStream(sys.stdout, "stdout")
        sys.stderr = PrefixedStream(sys.stderr, "stderr")
    watchdog = Watchdog(make_contract())
    generation = load()
    port = whole_number("port", 8080)
    dispatcher = GrowingDispatcher()
    dispatcher.set_thread_count(2)
    try:
        server = create_server(
            watchdog,
            _dispatcher=dispatcher,
            host="0.0.0.0",
            port=port,
            connection_limit=4096,
            backlog=1024,
            asyncore_use_poll=True,
            # A replica may be paused and woken: a limit for idle connections would run out meanwhile, and close the
            # very one that the waking call comes in on. The gateway ends its idle connections itself.
            channel_timeout=10 * 365 * 86400,
            cleanup_interval=1,
        )
    except OSError as error:
        log(f"cannot listen on port {port}: {error}")
        sys.exit(1)
    server.channel_class = Channel
    watch_reads(server)
    stop_on(signal.SIGTERM, server)
    stop_on(signal.SIGINT, server)
    watchdog.write_lock()
    log(f"listening on port {port}, Python {sys.version.split()[0]}, contract {CONTRACT}")
    metrics_port = whole_number("metrics_port", 8081)
    if metrics_port:
        threading.Thread(target=serve_metrics, args=(metrics_port,), daemon=True).start()
    server.run()
    # The loop ends when a signal has closed its last socket; the drain decides when the process does.
    threading.Event().wait()
