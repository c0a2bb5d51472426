"""What a generation's code leaves in the process: noted as it is made, so that it can be taken away again.

Only code of the handler folder is meant. What a library registers for itself on its first import belongs to the
process, because the library's modules stay when the handler is loaded anew.
"""

import atexit
import contextvars
import os
import sys
import threading

# The generation that a call, and each asyncio task it starts, runs in.
current = contextvars.ContextVar("generation", default=None)

_register, _unregister = atexit.register, atexit.unregister
_start = threading.Thread.start
_exit = os._exit
_held = threading.local()


def owner_of(namespace):
    """The generation whose source these globals are of; None where they are nobody's or a library's."""
    return getattr(namespace.get("__loader__"), "generation", None)


def owner_of_function(function):
    function = getattr(function, "func", function)  # functools.partial
    function = getattr(function, "__func__", function)
    return owner_of(getattr(function, "__globals__", {}))


def _owner_of_caller(depth, passing=None):
    """Who called; frames of the module `passing` are looked through."""
    frame = sys._getframe(depth)
    while frame is not None and passing is not None and frame.f_globals.get("__name__", "").split(".")[0] == passing:
        frame = frame.f_back
    return owner_of(frame.f_globals) if frame is not None else None


def _owner_on_stack(depth):
    """The nearest code of a generation on the stack, below whatever libraries it called."""
    frame = sys._getframe(depth)
    while frame is not None:
        owner = owner_of(frame.f_globals)
        if owner is not None:
            return owner
        frame = frame.f_back
    return None


def note():
    """Starts to note. Only where swaps are possible: what is replaced here is as shipped everywhere else."""

    def register(function, *args, **kwargs):
        owner = _owner_of_caller(2)
        if owner is None:
            return _register(function, *args, **kwargs)
        owner.exits.append((function, args, kwargs))
        return function

    def unregister(function):
        owner = _owner_of_caller(2)
        if owner is not None:
            owner.exits[:] = [one for one in owner.exits if one[0] != function]
        _unregister(function)

    def start(thread):
        if isinstance(thread, threading.Timer):
            owner = owner_of_function(thread.function) or _owner_of_caller(2)
            if owner is not None:
                owner.timers.add(thread)
                if owner.retired:
                    thread.cancel()  # a timer that sets itself again, whose last run met the end of its generation
        else:
            owner = _owner_on_stack(2)
            if owner is not None:
                owner.threads.add(thread)
        _start(thread)

    atexit.register, atexit.unregister = register, unregister
    threading.Thread.start = start
    _note_log_handlers()


def _note_log_handlers():
    import logging

    add = logging.Logger.addHandler

    def add_handler(logger, handler):
        owner = _owner_of_caller(2, passing="logging")
        if owner is not None and handler not in logger.handlers:
            owner.log_handlers.append((logger, handler))
        add(logger, handler)

    logging.Logger.addHandler = add_handler


def note_tasks(loop):
    import asyncio

    def factory(loop, coroutine, **options):
        task = asyncio.Task(coroutine, loop=loop, **options)
        owner = current.get()
        if owner is not None:
            owner.tasks.add(task)
        return task

    loop.set_task_factory(factory)


class EndOfProcess(SystemExit):
    """os._exit, where code must not be able to end the process."""

    def __str__(self):
        return f"the function's process would have ended with code {self.code} during the call"


class held:
    """Inside, os._exit of this thread raises instead of ending the process."""

    def __enter__(self):
        _held.on = True

    def __exit__(self, *error):
        _held.on = False


def answer_before_exit(answer, is_serving):
    """
    Makes os._exit answer the calls in flight first: `answer(code)` is to return when they are on their way. Code of a
    generation that serves no longer ends only its own call.
    """
    home = os.getpid()

    def leave(status):
        if os.getpid() == home:
            owner = _owner_on_stack(2)
            if getattr(_held, "on", False) or (owner is not None and not is_serving(owner)):
                raise EndOfProcess(status)
            answer(status)
        _exit(status)

    os._exit = leave


def end(status):
    """The real os._exit."""
    _exit(status)
