"""The runtime's own route /_/debugger: debugpy, in a process that goes on. docs/runtime.md is what this file promises."""

import os
import sys
import threading
import time

from .log import log

PATH = "/_/debugger"
DEFAULT_PORT = 5678
LARGEST = 64 * 1024 * 1024
# Each look takes a moment; somebody who has gone away may leave a call this much longer.
LONGEST_LOOK = 1.0
# Threads that serve sockets must go on while the handler's are held: a debugger leaves those alone that say so.
LEFT_ALONE = ("sockets", "waitress-")


class Debugger:
    """Lets debuggers in, once for the life of the process; whether somebody is there is for the caller to say."""

    def __init__(self):
        self._lock = threading.Lock()
        self._port = None
        self._is_open = False

    def is_open(self):
        """Whether somebody may be looking at a line of the handler: no call is given up meanwhile."""
        return self._is_open

    def answer(self, environ):
        """Status and body of a call of the route."""
        status, body = self._answer(environ)
        return status, {"language": "python", **body}

    def _answer(self, environ):
        method = environ["REQUEST_METHOD"]
        if method == "GET":
            return 200, self._told()
        if method == "DELETE":
            self._is_open = False
            return 200, {}
        if method != "PUT":
            return 405, {"message": f"{method} {PATH} is nothing: GET, PUT and DELETE are"}
        with self._lock:
            return self._open(environ)

    def _told(self):
        return {"port": self._port} if self._is_open else {}

    def _open(self, environ):
        if int(environ.get("CONTENT_LENGTH") or 0) > LARGEST:
            return 413, {"message": f"more than {LARGEST // 1024 // 1024} MiB"}
        body = environ["wsgi.input"].read()
        port = DEFAULT_PORT
        if environ.get("CONTENT_TYPE", "").startswith("application/zip"):
            if self._port is None:
                try:
                    unpack(body)
                except Exception as error:
                    return 501, {"message": f"debugpy cannot be put in: {error}"}
        elif body:
            import json

            try:
                port = json.loads(body).get("port", port)
            except (ValueError, AttributeError, RecursionError) as error:
                return 400, {"message": f"the body is no JSON object: {error}"}
            if not isinstance(port, int) or not 0 < port < 65536:
                return 400, {"message": f"port is {port!r}: a number from 1 to 65535 is taken"}
        if self._port is None:
            try:
                listen(port)
            except ImportError as error:
                return 424, {"message": f"debugpy is not installed here: {error}", "needs": "debugpy"}
            except Exception as error:
                log(f"debugpy does not start: {type(error).__name__}: {error}")
                return 501, {"message": f"debugpy does not start: {error}"}
            self._port = port
        self._is_open = True
        return 200, self._told()

    def waited(self, wait, seconds):
        """Whether `wait(seconds)` ends well (None: however long it takes). Time stands still while somebody looks."""
        while not wait(seconds):
            if not self._is_open:
                return False
            seconds = max(seconds, LONGEST_LOOK)
        return True


def unpack(wheel):
    """Puts the files of a wheel where `import` finds them last: what the function brings along comes first."""
    import importlib
    import io
    import tempfile
    import zipfile

    folder = tempfile.mkdtemp(prefix="debugpy-")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        archive.extractall(folder)
    sys.path.append(folder)
    importlib.invalidate_caches()


def listen(port):
    """Starts debugpy on the container's own loopback. ImportError where there is none."""
    started = time.perf_counter()
    # Or it would warn, in the function's log, of modules that Python brings along frozen.
    quiet = "PYDEVD_DISABLE_FILE_VALIDATION"
    former = os.environ.get(quiet)
    os.environ[quiet] = "1"
    try:
        import debugpy

        for thread in threading.enumerate():
            if thread.name.startswith(LEFT_ALONE):
                thread.pydev_do_not_trace = True
        debugpy.listen(("127.0.0.1", port))
    finally:
        if former is None:
            del os.environ[quiet]
        else:
            os.environ[quiet] = former
    log(f"debugpy listens on port {port} of the container after {time.perf_counter() - started:.1f} s")


debugger = Debugger()
