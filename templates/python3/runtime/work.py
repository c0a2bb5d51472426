"""Running handlers: threads that may be left behind, and the event loop of `async def` handlers."""

import contextvars
import threading
from collections import deque

from . import belongings


class Workers:
    """Threads that run handlers. A thread cannot be stopped, so one that overruns its limit is left behind."""

    def __init__(self):
        self._idle = deque()

    def start(self, work, context=None):
        """Runs `work` on an idle thread, or on a new one. RuntimeError where the system gives no more threads."""
        outcome = Outcome(context or contextvars.copy_context(), work)
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
            outcome.run()
            del outcome  # or the last answer would be kept until the next call
            self._idle.append(self)


class Outcome:
    """The answer of a handler, once it is there."""

    def __init__(self, context, work):
        self.context = context
        self._work = work
        self._done = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._settled = False
        self.answer = None

    def run(self):
        try:
            answer = self.context.run(self._work)
        except BaseException as error:  # SystemExit too: a handler must not end the thread
            answer = error
        self._work = None
        self.settle(answer)

    def settle(self, answer):
        """The first answer counts."""
        with self._lock:
            if self._settled:
                return
            self._settled = True
            self.answer = answer
        self._done.release()

    def wait(self, seconds):
        """True when the answer is there within `seconds` (None: however long it takes)."""
        return self._done.acquire(timeout=seconds) if seconds is not None else self._done.acquire()


class AsyncLoop:
    """One event loop for every `async def` handler, started when the first one is met."""

    def __init__(self):
        self._lock = threading.Lock()
        self._loop = None

    def settle(self, result):
        if not hasattr(result, "__await__"):
            return result
        import asyncio

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                belongings.note_tasks(self._loop)
                threading.Thread(target=self._loop.run_forever, daemon=True, name="asyncio").start()

        async def awaited():
            return await result

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()

    def release(self, generation):
        """Cancels what a generation still has on the loop. Returns when that has been asked of all of it."""
        if self._loop is None:
            return
        done = threading.Event()

        def cancel():
            for task in list(generation.tasks):
                task.cancel()
            # loop.call_later() leaves no task, only a handle that knows its context.
            for handle in list(getattr(self._loop, "_scheduled", ())):
                context = getattr(handle, "_context", None)
                if context is not None and context.get(belongings.current) is generation:
                    handle.cancel()
            done.set()

        self._loop.call_soon_threadsafe(cancel)
        done.wait(1)


workers = Workers()
async_loop = AsyncLoop()
