"""One load of the handler's code, from the first call to what is cleared away after the last."""

import gc
import queue
import signal
import threading
import time
import traceback
import weakref

from . import belongings
from .log import log, write
from .work import async_loop


class Generation:
    """What answers now. A later version of the handler becomes a new generation; calls in flight keep theirs."""

    def __init__(self, number):
        self.number = number
        self.handle = None
        self.inflight = 0
        self.retired = False
        # The modules of the handler folder, once a later generation has taken their names.
        self.modules = {}
        self.exits = []
        self.timers = weakref.WeakSet()
        self.threads = weakref.WeakSet()
        self.tasks = weakref.WeakSet()
        self.log_handlers = []
        # What it does about a signal, and what was done before: {SIGUSR1: (its own, the former)}.
        self.signals = {}

    def retire(self):
        """Called once, after the last call; never by a thread that calls wait for."""
        self.retired = True
        self.run_exits()
        for timer in list(self.timers):
            timer.cancel()
        async_loop.release(self)
        for _, handler in self.log_handlers:
            _quietly(handler.close)
        self.handle = None
        self.modules.clear()
        self.log_handlers.clear()
        _sweeper.sweep_after(self)

    def retire_soon(self):
        """On a thread of its own, because the user's exit functions may take their time."""
        threading.Thread(target=self.retire, daemon=True, name="retire").start()

    def run_exits(self):
        """What the user wrote for the end of the process, last registered first. It cannot end the process."""
        exits, self.exits = self.exits, []
        with belongings.held():
            for function, args, kwargs in reversed(exits):
                _quietly(function, *args, **kwargs)
            own, _ = self.signals.pop(signal.SIGTERM, (None, None))
            if callable(own):
                _quietly(own, signal.SIGTERM, None)

    def hide_log_handlers(self):
        for logger, handler in self.log_handlers:
            logger.removeHandler(handler)

    def show_log_handlers(self):
        for logger, handler in self.log_handlers:
            logger.addHandler(handler)

    def tell_of_threads(self):
        left = [f"{thread.name}{' (daemon)' if thread.daemon else ''}" for thread in self.threads if thread.is_alive()]
        if left:
            names = ", ".join(sorted(left))
            log(f"generation {self.number} left threads that Python cannot stop; they still run its code: {names}")


class Sweeper:
    """
    Frees what retired generations held. Modules and functions refer to each other, so that only the collector finds
    them; it stops every thread while it looks, and is therefore asked when no swap has been made for a moment.
    """

    MOMENT = 0.5
    MOST = 32

    def __init__(self):
        self._retired = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running = False

    def sweep_after(self, generation):
        self._retired.put(generation)
        with self._lock:
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, daemon=True, name="sweeper").start()

    def _run(self):
        while True:
            retired = [self._retired.get()]
            while len(retired) < self.MOST:
                try:
                    retired.append(self._retired.get(timeout=self.MOMENT))
                except queue.Empty:
                    break
            gc.collect()
            # Executors end their threads once nobody knows the executor.
            time.sleep(self.MOMENT)
            for generation in retired:
                generation.tell_of_threads()
            retired.clear()
            generation = None


_sweeper = Sweeper()


def _quietly(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except SystemExit:
        pass
    except BaseException:
        write(traceback.format_exc())
