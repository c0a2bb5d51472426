"""Loads the handler's modules: the first time as Python does, and anew for each swap."""

import builtins
import importlib
import importlib.machinery
import importlib.util
import os
import signal
import sys
import traceback

from . import belongings
from .debugger import debugger
from .generation import Generation
from .settings import CONTRACT, FOLDER, HOME, below

LOAD_LIMIT = 10.0


class LoadFailed(Exception):
    """Why the handler does not load, and where: what the author needs to mend it."""

    def __init__(self, message, file=None, line=None, column=None, stack=""):
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.stack = stack


class LoadTooLong(BaseException):
    """Raised into a load that has had its time."""


def load(generation):
    """Imports function/handler.py for this generation. Throws LoadFailed."""
    try:
        handler = importlib.import_module("function.handler")
    except BaseException as error:
        raise failure_of(error) from None
    handle = getattr(handler, "handle", None)
    if not callable(handle):
        arguments = "event, context" if CONTRACT.startswith("http") else "req"
        message = f"{handler.__file__} has no function handle: write def handle({arguments}):"
        raise LoadFailed(message, relative(handler.__file__), stack=message)
    generation.handle = handle


def relative(path):
    return os.path.relpath(path, FOLDER).replace(os.sep, "/")


# --- what went wrong --------------------------------------------------------------------------------------------------


def failure_of(error):
    file = line = column = None
    frames = [entry for entry in traceback.extract_tb(error.__traceback__) if below(entry.filename)]
    if isinstance(error, SyntaxError) and error.filename and below(error.filename):
        file, line, column = relative(error.filename), error.lineno or None, error.offset or None
    elif frames:
        file, line = relative(frames[-1].filename), frames[-1].lineno
        start = getattr(frames[-1], "colno", None)
        column = None if start is None else start + 1
    kind = type(error).__name__
    if isinstance(error, SyntaxError):
        text = f"{kind}: {error.msg}"
    elif isinstance(error, LoadTooLong):
        text = f"the handler did not load within {LOAD_LIMIT:g} s"
    elif isinstance(error, SystemExit):
        text = f"the handler ended the process with code {error.code if error.code is not None else 0} while it was loaded"
    else:
        text = f"{kind}: {error}" if str(error) else kind
    hint = hint_for(error)
    return LoadFailed(f"{text}{': ' + hint if hint else ''}", file, line, column, stack_of(error))


def hint_for(error):
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    name = error.name.split(".")[0]
    if name == "function":
        return ""
    if os.path.isfile(os.path.join(FOLDER, name + ".py")) or os.path.isdir(os.path.join(FOLDER, name)):
        return f"it lies beside the handler, so write from . import {name}"
    return "put its package into requirements.txt or pyproject.toml and build again"


def stack_of(error):
    """The traceback from the user's first line on: how the runtime came there is of no interest."""
    entries = traceback.extract_tb(error.__traceback__)
    first = next((at for at, entry in enumerate(entries) if below(entry.filename)), len(entries))
    frames = [entry for entry in entries[first:] if not entry.filename.startswith("<frozen importlib")]
    lines = ["Traceback (most recent call last):\n"] + traceback.format_list(frames) if frames else []
    return "".join(lines + traceback.format_exception_only(type(error), error))


# --- loading anew -----------------------------------------------------------------------------------------------------


class Source(importlib.machinery.SourceFileLoader):
    """Runs the source that is there. Byte code on disk knows its source by size and second, and an editor is quicker
    than that; what was compiled is kept in memory, by content."""

    compiled = {}
    # Whose modules the names in sys.modules are.
    owner = None

    def __init__(self, fullname, path):
        super().__init__(fullname, path)
        self.generation = Source.owner

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        source = self.get_data(path)
        known = importlib.util.source_hash(source)
        kept = self.compiled.get(path)
        if kept is not None and kept[0] == known:
            return kept[1]
        try:
            code = self.source_to_code(source, path)
        except ValueError as error:  # a NUL byte, before Python 3.12 said which file
            raise SyntaxError(str(error), (path, None, None, None)) from None
        self.compiled[path] = (known, code)
        return code


def own_folder():
    """From here on the handler folder is read by `Source`, and code of an old generation keeps its own modules."""

    def finder(path):
        if not below(os.path.abspath(path)):
            raise ImportError("not the handler's")
        extensions = (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES)
        return importlib.machinery.FileFinder(path, extensions, (Source, importlib.machinery.SOURCE_SUFFIXES))

    sys.path_hooks.insert(0, finder)
    builtins.__import__ = importing_for_generations(builtins.__import__)


def importing_for_generations(usual):
    """`import` inside a function runs at call time, when the names may already be those of a newer generation."""

    def __import__(name, globals=None, locals=None, fromlist=(), level=0):
        generation = belongings.owner_of(globals) if globals is not None else None
        if generation is None or generation is Source.owner:
            return usual(name, globals, locals, fromlist, level)
        own = generation.modules
        full = importlib.util.resolve_name("." * level + name, globals.get("__package__")) if level else name
        module = own.get(full)
        if module is None:
            return usual(name, globals, locals, fromlist, level)
        for part in fromlist or ():
            if not hasattr(module, part) and f"{full}.{part}" in own:
                setattr(module, part, own[f"{full}.{part}"])
        return module if fromlist else own.get(full.split(".")[0], module)

    return __import__


def load_anew(former, number, path, is_wanted):
    """
    Loads the handler once more, under the same names, and returns its generation. `path` is sys.path as it was before
    any handler changed it; `is_wanted` tells, once the load is through, whether anybody still waits for it. Throws
    LoadFailed, and then everything in this process is as it was. Main thread only: there modules may set signal
    handlers, and there a load that does not end can be interrupted.
    """
    generation = Generation(number)
    former_path, former_signals = list(sys.path), signals()
    former.hide_log_handlers()
    restore_signals({one: action for one, (_, action) in former.signals.items()})
    sys.path[:] = path
    former.modules = take_out()
    Source.owner = generation
    before = signals()
    try:
        with belongings.held(), time_limit(LOAD_LIMIT):
            load(generation)
        if not is_wanted():
            raise LoadTooLong()
    except BaseException as error:
        take_out()
        sys.modules.update(former.modules)
        Source.owner = former
        former.modules = {}
        sys.path[:] = former_path
        generation.hide_log_handlers()
        former.show_log_handlers()
        restore_signals(former_signals)
        generation.retire_soon()
        raise error if isinstance(error, LoadFailed) else failure_of(error)
    generation.signals = changed_signals(before)
    for gone in set(Source.compiled) - set(files_of(sys.modules)):
        Source.compiled.pop(gone, None)
    return generation


def files_of(modules):
    return [getattr(module, "__dict__", {}).get("__file__") for module in list(modules.values())]


def take_out():
    """Takes the modules of the handler folder out of sys.modules, and returns them by name."""
    taken = {}
    for name, module in list(sys.modules.items()):
        if name == "function" or name.startswith("function.") or is_own(module):
            taken[name] = sys.modules.pop(name)
    for path, finder in list(sys.path_importer_cache.items()):
        if finder is not None and (path == HOME or below(path)):
            finder.invalidate_caches()
    lines = sys.modules.get("linecache")
    if lines is not None:  # what tracebacks quote
        for path in [path for path in list(lines.cache) if below(path)]:
            lines.cache.pop(path, None)
    return taken


def is_own(module):
    # Through __dict__: asking a lazy module for an attribute may load it.
    names = getattr(module, "__dict__", None) or {}
    file = names.get("__file__")
    if isinstance(file, str):
        return below(file)
    try:
        return any(below(path) for path in names.get("__path__") or ())  # a folder without __init__.py
    except Exception:
        return False


# --- signals ----------------------------------------------------------------------------------------------------------

_CATCHABLE = [one for one in signal.Signals if one not in (signal.SIGKILL, signal.SIGSTOP)]


def signals():
    return {one: signal.getsignal(one) for one in _CATCHABLE}


def changed_signals(before):
    """What the handler's modules have set since: {signal: (theirs, the former)}."""
    after = signals()
    return {
        one: (after[one], before[one])
        for one in _CATCHABLE
        if after[one] is not before[one] and (not callable(after[one]) or is_own_function(after[one]))
    }


def is_own_function(function):
    function = getattr(function, "func", function)  # functools.partial
    return below(str(getattr(function, "__globals__", {}).get("__file__", "")))


def restore_signals(wanted):
    for one, action in wanted.items():
        if action is not None and signal.getsignal(one) is not action:
            signal.signal(one, action)


class time_limit:
    """Raises LoadTooLong in the main thread after so many seconds, again and again until it is heard."""

    def __init__(self, seconds):
        self._seconds = seconds

    def __enter__(self):
        def too_long(number, frame):
            if not debugger.is_open():
                raise LoadTooLong()

        self._former = signal.signal(signal.SIGALRM, too_long)
        signal.setitimer(signal.ITIMER_REAL, self._seconds, 0.2)

    def __exit__(self, *error):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._former)
