"""The runtime's own routes: docs/runtime.md is what this file promises."""

import base64
import binascii
import json
import os
import shutil
import threading
import time

from . import modules
from .debugger import PATH as DEBUGGER_PATH
from .debugger import debugger
from .log import log
from .settings import FOLDER, HOME

LARGEST = 64 * 1024 * 1024
PATH = "/_/generation"
PATHS = (PATH, DEBUGGER_PATH)
STATE = os.path.join(HOME, ".generation")
STAGING = ".swap"
BEFORE = "before.json"
# What a build installs below the handler folder is no source.
INSTALLED = {"node_modules", "site-packages", "venv", ".venv", "__pycache__", STAGING}


class Refused(Exception):
    def __init__(self, status, message, **more):
        super().__init__(message)
        self.status = status
        self.body = {"message": message, **more}


class Swap:
    """Replaces the handler's files and then its generation, one swap after the other."""

    def __init__(self, token, watchdog, loader):
        self._token = token.encode()
        self._watchdog = watchdog
        self._loader = loader
        self._lock = threading.Lock()
        # Loads so far, those that failed included.
        self._loads = watchdog.generation.number
        self.hash = stored()[1]

    def is_asked(self, environ):
        return self.knows(environ["PATH_INFO"], environ.get("HTTP_X_FAASDOCK_TOKEN"))

    def knows(self, path, token):
        """Whether a request is for one of our routes, by somebody who may know of them."""
        if path not in PATHS or token is None:
            return False
        from hmac import compare_digest

        return compare_digest(token.encode("latin-1"), self._token)

    def answer(self, environ):
        """Status and body of one of our own calls."""
        if environ["PATH_INFO"] == DEBUGGER_PATH:
            return debugger.answer(environ)
        method = environ["REQUEST_METHOD"]
        if method == "GET":
            return 200, self.told()
        if method != "PUT":
            return 405, {"message": f"{method} {PATH} is nothing: GET and PUT are"}
        try:
            return 200, self.put(environ)
        except Refused as refused:
            return refused.status, refused.body

    def told(self):
        reason = self.obstacle()
        told = {
            "number": self._watchdog.generation.number,
            "hash": self.hash,
            "inflight": self._watchdog.inflight_by_generation(),
            "canSwap": reason is None,
        }
        return told if reason is None else {**told, "reason": reason}

    def obstacle(self):
        """Why this process cannot swap; None where it can."""
        if self._watchdog.draining:
            return "the process is ending"
        if self._loader.stuck:
            return "an earlier load has not ended yet"
        if not os.access(FOLDER, os.W_OK):
            return f"{FOLDER} cannot be written by uid {os.getuid()}"
        return None

    def put(self, environ):
        started = time.perf_counter()
        if int(environ.get("CONTENT_LENGTH") or 0) > LARGEST:
            raise Refused(413, f"more than {LARGEST // 1024 // 1024} MiB")
        wanted, since, files, deleted = parsed(environ["wsgi.input"].read())
        with self._lock:
            reason = self.obstacle()
            if reason is not None:
                raise Refused(501, reason)
            if since is not None and since != self.hash:
                raise Refused(409, f"the change is one of {since!r}, and {self.hash!r} is here", hash=self.hash)
            compiled = [path for path in [*files, *deleted] if path.endswith(".so") and is_other(path, files.get(path))]
            if compiled:
                raise Refused(501, f"{compiled[0]} is machine code, which a process loads once")
            number = self._replace(wanted, files, deleted if since is not None else None)
            self.hash = wanted
            taken = (time.perf_counter() - started) * 1000
            log(f"swap: generation {number} answers, {wanted[:8] if wanted else 'without a hash'}, after {taken:.1f} ms")
            return {"number": number, "hash": wanted, "ms": round(taken, 3)}

    def _replace(self, wanted, files, deleted):
        """Files, then generation; the number of the new one."""
        former = self._watchdog.generation
        try:
            change = Change(files, deleted, self.hash)
            # A process that is killed from here on cannot say what it has, unless it finds its way back.
            store(self._loads, "")
            change.apply()
        except OSError as error:
            store(self._loads, self.hash)
            log(f"swap: the files of {wanted} cannot be put in: {error}")
            raise Refused(501, f"the files cannot be put in: {error}") from None
        self._loads += 1
        try:
            generation = self._loader.load_anew(former, self._loads)
        except modules.LoadFailed as failed:
            undo()
            store(self._loads, self.hash)
            where = f" ({failed.file}, line {failed.line})" if failed.file and failed.line else ""
            log(f"swap: {wanted} does not load, generation {former.number} goes on: {failed.message}{where}")
            place = {"file": failed.file, "line": failed.line, "column": failed.column}
            place = {name: value for name, value in place.items() if value is not None}
            raise Refused(422, failed.message, **place, stack=failed.stack) from None
        self._watchdog.put(generation)
        change.keep()
        store(self._loads, wanted)
        return generation.number


def parsed(body):
    """What a PUT asks for: hash, from, {path: content}, [path]. Throws Refused with 400."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no JSON: {error}") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("hash"), str):
        raise Refused(400, "hash must be a text")
    since = asked.get("from", False)
    if since is not None and not isinstance(since, str):
        raise Refused(400, "from must be a hash or null")
    encoded, deleted = asked.get("files", {}), asked.get("deleted", [])
    if not isinstance(encoded, dict) or not isinstance(deleted, list):
        raise Refused(400, "files must be an object, and deleted a list")
    files = {}
    for path, text in encoded.items():
        try:
            files[checked(path)] = base64.b64decode(text.encode("ascii"), validate=True)
        except (AttributeError, UnicodeError, binascii.Error):
            raise Refused(400, f"{path} is not base64") from None
    return asked["hash"], since, files, [checked(path) for path in deleted]


def checked(path):
    """A path that stays in the handler folder. Throws Refused with 400."""
    parts = path.split("/") if isinstance(path, str) else [""]
    if any(part in ("", ".", "..") or "\0" in part for part in parts) or parts[0] == STAGING:
        raise Refused(400, f"{path!r} is no path below the handler folder")
    try:
        real = os.path.realpath(os.path.join(FOLDER, *parts[:-1]))
    except (OSError, ValueError):
        raise Refused(400, f"{path!r} is no path below the handler folder") from None
    if real != os.path.realpath(FOLDER) and not real.startswith(os.path.realpath(FOLDER) + os.sep):
        raise Refused(400, f"{path!r} leaves the handler folder through a link")
    return "/".join(parts)


class Change:
    """
    Files on their way into the handler folder. The new ones are written aside first, and the old ones moved aside, so
    that a full disk changes nothing; what lies aside is also how a process that died in the middle finds its way back.
    """

    def __init__(self, files, deleted, former):
        """
        Writes the files aside. `deleted` None: everything that is not in `files`; `former`: the hash of what is here.
        OSError, and nothing is changed.
        """
        self._aside = os.path.join(FOLDER, STAGING)
        shutil.rmtree(self._aside, ignore_errors=True)
        self._files = files
        here = list(sources()) if deleted is None else deleted
        self._gone = [path for path in here if path not in files]
        added = [path for path in files if not os.path.lexists(os.path.join(FOLDER, path))]
        try:
            for path, content in files.items():
                self._write(os.path.join(self._aside, "new", path), content)
            self._write(os.path.join(self._aside, BEFORE), json.dumps({"added": added, "hash": former}).encode())
        except OSError:
            self.keep()
            raise

    def apply(self):
        """Puts the files in; OSError, and nothing is changed."""
        try:
            for path in self._gone:
                self._move(os.path.join(FOLDER, path), os.path.join(self._aside, "old", path))
                tidy(os.path.dirname(path))
            for path in self._files:
                target, new = os.path.join(FOLDER, path), os.path.join(self._aside, "new", path)
                if os.path.lexists(target):
                    shutil.copymode(target, new)
                    self._move(target, os.path.join(self._aside, "old", path))
                self._move(new, target)
        except OSError:
            undo()
            raise

    def keep(self):
        shutil.rmtree(self._aside, ignore_errors=True)

    def _write(self, path, content):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)

    def _move(self, source, target):
        if os.path.isdir(source) and not os.path.islink(source):
            raise IsADirectoryError(f"{source} is a folder")
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.replace(source, target)
        except FileNotFoundError:
            pass  # deleted already


def is_other(path, content):
    """Whether a file is to become another one: code that is given as a whole has them all."""
    try:
        with open(os.path.join(FOLDER, path), "rb") as file:
            return file.read() != content
    except OSError:
        return content is not None


def tidy(folder):
    """Folders that have become empty go too: Python would import them as packages."""
    while folder:
        path = os.path.join(FOLDER, folder)
        try:
            if os.listdir(path) == ["__pycache__"]:
                shutil.rmtree(os.path.join(path, "__pycache__"), ignore_errors=True)
            os.rmdir(path)
        except OSError:
            return
        folder = os.path.dirname(folder)


def undo():
    """Puts the handler folder back as it was before the change that lies aside; its hash, None where there is none."""
    aside = os.path.join(FOLDER, STAGING)
    try:
        with open(os.path.join(aside, BEFORE), "rb") as file:
            before = json.loads(file.read())
        added, former = before["added"], before["hash"]
    except (OSError, ValueError, KeyError):
        shutil.rmtree(aside, ignore_errors=True)  # it died before anything was moved
        return None
    for path in added:
        try:
            os.unlink(os.path.join(FOLDER, path))
        except OSError:
            pass
    old = os.path.join(aside, "old")
    for folder, _, names in os.walk(old):
        for name in names:
            source = os.path.join(folder, name)
            target = os.path.join(FOLDER, os.path.relpath(source, old))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.replace(source, target)
    for path in added:
        tidy(os.path.dirname(path))
    shutil.rmtree(aside, ignore_errors=True)
    return former


def sources():
    """Every file that a swap of everything replaces."""
    for folder, folders, names in os.walk(FOLDER):
        folders[:] = [name for name in folders if name not in INSTALLED]
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), FOLDER).replace(os.sep, "/")
            # The build makes an empty one where the handler has none.
            if path == "__init__.py" and os.path.getsize(os.path.join(folder, name)) == 0:
                continue
            yield path


# --- what a container that is restarted knows -------------------------------------------------------------------------


def stored():
    """Number and hash of what was loaded last in this container, or (0, what the provider said it is)."""
    try:
        with open(STATE, encoding="utf-8") as file:
            state = json.load(file)
        return int(state["number"]), str(state["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, os.environ.get("FAASDOCK_CONTENT_HASH", "")


def store(number, content):
    try:
        with open(STATE + ".new", "w", encoding="utf-8") as file:
            json.dump({"number": number, "hash": content}, file)
        os.replace(STATE + ".new", STATE)
    except OSError as error:
        log(f"swap: {STATE} cannot be written, so a restart will not know it: {error}")
