"""The WSGI application: health, limits, counting, and the contract behind them."""

import contextvars
import os
import re
import threading
import time
import traceback
from http import HTTPStatus

from . import belongings
from .debugger import debugger
from .log import human_size, log, write
from .metrics import Metrics
from .settings import CONTRACT, EXEC_TIMEOUT, LOG_CALL_ID, MAX_INFLIGHT, READY_PATH, WRITE_TIMEOUT, Limit, flag, go_duration
from .work import workers

LOCK_FILE = "/tmp/.lock"
PLAIN = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
OURS = PLAIN + [("X-OpenFaaS-Internal", "of-watchdog")]
# What is the connection's business, or said by the watchdog itself.
NOT_PASSED_ON = {
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "x-duration-seconds",
}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Watchdog:
    def __init__(self, contract):
        self._contract = contract
        self._lock = threading.Lock()
        self._lock_written = False
        self._busy = {}
        self._outcomes = set()
        self.metrics = Metrics()
        self.generation = None
        self.swap = None
        self.server = None
        self.inflight = 0
        self.draining = False

    # --- health ---

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

    # --- requests ---

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        if path.startswith("/_/"):
            if path == "/_/health":
                return self._health(environ, start_response)
            if path == "/_/ready":
                return self._ready(environ, start_response)
            if self.swap is not None and self.swap.is_asked(environ):
                return self._own(environ, start_response)
        return Call(self, environ).answer(start_response)

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
            return Call(self, environ).answer(start_response)
        return say(start_response, 200, "OK")

    def _own(self, environ, start_response):
        from json import dumps

        status, body = self.swap.answer(environ)
        return say(start_response, status, dumps(body), "application/json")

    # --- generations ---

    def enter(self):
        """The generation that a new call belongs to; None where max_inflight is reached."""
        with self._lock:
            if 0 < MAX_INFLIGHT <= self.inflight:
                return None
            self.inflight += 1
            generation = self.generation
            generation.inflight += 1
            self._busy[generation.number] = generation
            return generation

    def leave(self, generation):
        with self._lock:
            self.inflight -= 1
            generation.inflight -= 1
            if generation.inflight > 0:
                return
            self._busy.pop(generation.number, None)
            over = generation is not self.generation and not generation.retired
            generation.retired = generation.retired or over
        if over:
            generation.retire_soon()

    def put(self, generation):
        """Later calls meet this one. The former one is retired when its last call has ended."""
        with self._lock:
            former, self.generation = self.generation, generation
            over = former.inflight == 0
            former.retired = former.retired or over
        if over:
            former.retire_soon()

    def inflight_by_generation(self):
        with self._lock:
            return {str(number): one.inflight for number, one in sorted(self._busy.items())}

    def run(self, work, seconds, context=None):
        """Runs `work` on a thread of its own; its outcome, or None when it takes longer. RuntimeError: no thread."""
        outcome = workers.start(work, context)
        self._outcomes.add(outcome)
        try:
            return outcome if debugger.waited(outcome.wait, seconds) else None
        finally:
            self._outcomes.discard(outcome)

    def contract(self, environ, generation):
        handle = generation.handle
        belongings.current.set(generation)
        return self._contract(environ, handle)

    def end_all(self, answer):
        """Gives every call that is waiting for its handler this answer."""
        for outcome in list(self._outcomes):
            outcome.settle(answer)


class Call:
    """One call of the handler, from its entry to the end of its answer."""

    def __init__(self, watchdog, environ):
        self._watchdog = watchdog
        self._environ = environ
        self._method = environ["REQUEST_METHOD"]
        self._started = time.perf_counter()
        self._limit = call_limit(environ)
        self._generation = None
        self._status = 500
        self._size = 0

    def answer(self, start_response):
        self._generation = self._watchdog.enter()
        if self._generation is None:
            self._watchdog.metrics.count(self._method, 429, 0.0)
            text = f"Concurrent request limit exceeded. Max concurrent requests: {MAX_INFLIGHT}\n"
            start_response(
                "429 Too Many Requests",
                [("Content-Type", "text/plain"), ("X-OpenFaaS-Internal", "faas-middleware"), length_of(text.encode())],
            )
            return [text.encode()]
        streams = False
        try:
            status, headers, body, context = self._ask()
            try:
                kept = sendable(status, headers)
            except ValueError as error:
                log(f"{self._method} {uri_of(self._environ)}: {error}")
                status, kept, body = 500, list(PLAIN), str(error).encode("utf-8", "replace")
            streams = not isinstance(body, bytes)
            self._status = status
            if not streams and status not in (204, 304):
                # Flask leaves out the body of a HEAD itself, and says how long it would have been.
                said = [value for name, value in headers if name.lower() == "content-length"]
                kept.append(("Content-Length", said[0] if self._method == "HEAD" and said else str(len(body))))
            kept.append(("X-Duration-Seconds", f"{time.perf_counter() - self._started:.6f}"))
            start_response(f"{status} {phrase_of(status)}", kept)
            if streams:
                return Streamed(self, body, context)
            self._size = len(body)
            return [b"" if self._method == "HEAD" or status in (204, 304) else body]
        finally:
            if not streams:
                self.end()

    def _ask(self):
        """Status, headers, body and the context that made it."""
        watchdog, environ, generation = self._watchdog, self._environ, self._generation
        try:
            outcome = watchdog.run(lambda: watchdog.contract(environ, generation), self.left())
        except RuntimeError as error:
            log(f"no thread for a call: {error}; see the process limit of the container")
            text = "the function has no thread left for this call"
            return 429, PLAIN + [("X-OpenFaaS-Internal", "faas-middleware")], text.encode(), None
        if outcome is None:
            return (*self._too_late(), None)
        if not isinstance(outcome.answer, BaseException):
            return (*outcome.answer, outcome.context)
        error = outcome.answer
        if isinstance(error, (Ended, belongings.EndOfProcess)):
            return 500, OURS, str(error).encode(), None
        write("".join(traceback.format_exception(type(error), error, error.__traceback__)))
        return 500, PLAIN, f"{type(error).__name__}: {error}".encode("utf-8", "replace"), None

    def _too_late(self):
        limit = self._limit
        log(f"{self._method} {uri_of(self._environ)}: no answer within {limit.name} of {limit.text}")
        if CONTRACT == "classic" and limit.name == "exec_timeout":
            return 408, PLAIN, b"Killed process."
        return 504, OURS, f"the function gave no answer within its {limit.name} of {limit.text}".encode()

    def left(self):
        """Seconds this call still has, None where it has no limit."""
        if self._limit.seconds == 0:
            return None
        left = self._limit.seconds - (time.perf_counter() - self._started)
        return min(max(0.0, left), threading.TIMEOUT_MAX)

    def step(self, work, context):
        """One part of a streamed answer. Throws where it fails or comes too late, and the connection is cut."""
        outcome = self._watchdog.run(work, self.left(), context)
        if outcome is None:
            raise TimeoutError(f"the answer was not complete within {self._limit.name} of {self._limit.text}")
        if isinstance(outcome.answer, BaseException):
            raise RuntimeError("the handler failed while its answer was sent") from outcome.answer
        self._size += len(outcome.answer or b"")
        return outcome.answer

    def end(self):
        self._watchdog.leave(self._generation)
        seconds = time.perf_counter() - self._started
        self._watchdog.metrics.count(self._method, self._status, seconds)
        if self._environ.get("HTTP_USER_AGENT", "").startswith("kube-probe"):
            return
        call_id = f" [{self._environ.get('HTTP_X_CALL_ID', 'none')}]" if LOG_CALL_ID else ""
        log(
            f"{self._method} {uri_of(self._environ)} - {self._status} {phrase_of(self._status)}"
            f" - ContentLength: {human_size(self._size)} ({seconds:.4f}s){call_id}"
        )


class Streamed:
    """A body that is made while it is sent: each part within the call's limit, in the context of the call."""

    def __init__(self, call, parts, context):
        self._call = call
        self._parts = parts
        self._iterator = iter(parts)
        self._context = context

    def __iter__(self):
        return self

    def __next__(self):
        part = self._call.step(lambda: next(self._iterator, None), self._context)
        if part is None:
            raise StopIteration
        return part

    def close(self):
        if self._call is None:
            return
        call, self._call = self._call, None
        try:
            if hasattr(self._parts, "close"):
                self._context.copy().run(self._parts.close)
        except Exception:
            write(traceback.format_exc())
        finally:
            call.end()


class Ended(Exception):
    """What calls in flight are told when the handler ends the process."""


def call_limit(environ):
    """The shorter of what the function allows and what this caller asks for."""
    limit = EXEC_TIMEOUT
    wanted = environ.get("HTTP_X_TIMEOUT")
    seconds = go_duration(wanted) if wanted else None
    if seconds is not None and (limit.seconds == 0 or seconds < limit.seconds):
        limit = Limit("X-Timeout", seconds, wanted)
    # An X-Timeout of 0s takes the limit away, as in the official watchdog; the connection's own stays.
    if WRITE_TIMEOUT.seconds > 0 and (limit.seconds == 0 or WRITE_TIMEOUT.seconds < limit.seconds):
        limit = WRITE_TIMEOUT
    return limit


def sendable(status, headers):
    """The handler's headers as they can be sent. ValueError says what cannot be."""
    if not 200 <= status <= 999:
        raise ValueError(f"the handler answered with status {status}, which is none a call can end with")
    kept = []
    for name, value in headers:
        name, value = str(name), str(value)
        if name.lower() in NOT_PASSED_ON:
            continue
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"the handler answered with a header called {name!r}, which is no name of a header")
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError(f"the handler's header {name} has characters that no header can have: {value!r}") from None
        if any(mark in value for mark in "\r\n\0"):
            raise ValueError(f"the handler's header {name} is more than one line: {value!r}")
        kept.append((name, value))
    return kept


def phrase_of(status):
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def uri_of(environ):
    query = environ.get("QUERY_STRING")
    return environ.get("REQUEST_URI") or environ["PATH_INFO"] + (f"?{query}" if query else "")


def length_of(body):
    return ("Content-Length", str(len(body)))


def say(start_response, status, text, kind="text/plain; charset=utf-8"):
    body = text.encode()
    start_response(f"{status} {phrase_of(status)}", [("Content-Type", kind), length_of(body)])
    return [body]
