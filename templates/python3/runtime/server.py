"""Loads the handler, listens, and ends when it is told to.

The main thread belongs to the handler's code, as it would without a server around it: modules are loaded there, because
only there they may set signal handlers, and only there a load that does not end can be interrupted. Sockets are served
by another thread, requests by more.
"""

import atexit
import contextlib
import gc
import logging
import os
import queue
import select
import signal
import sys
import threading
import time

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ThreadedTaskDispatcher

from . import belongings, modules
from .contracts import make_contract
from .debugger import debugger
from .generation import Generation
from .log import PrefixedStream, log, write
from .metrics import metrics_application
from .settings import CONTRACT, HOME, READ_TIMEOUT, READY_PATH, WRITE_TIMEOUT, flag, whole_number
from .watchdog import Ended, Watchdog


class GrowingDispatcher(ThreadedTaskDispatcher):
    """waitress's threads, started as they are needed: a slow handler must not keep others waiting."""

    def __init__(self, most):
        super().__init__()
        self._most = most
        self.set_thread_count(1)

    def start_new_thread(self, target, thread_no):
        thread = threading.Thread(target=target, name=f"waitress-{thread_no}", args=(thread_no,), daemon=True)
        thread.pydev_do_not_trace = True  # a debugger must not hold what serves others
        thread.start()

    def add_task(self, task):
        if len(self.threads) < self._most and self.active_count + len(self.queue) >= len(self.threads):
            before = set(self.threads)
            try:
                self.set_thread_count(len(before) + 1)
            except RuntimeError:  # the process limit of the container: the threads that are there will come to it
                with self.lock:
                    self.threads &= before
        super().add_task(task)


class Lanes:
    """Health and swaps are answered while every thread for calls is busy."""

    def __init__(self, swap):
        self._swap = swap
        self._calls = GrowingDispatcher(256)
        self._own = GrowingDispatcher(16)

    def add_task(self, channel):
        is_own = bool(channel.requests) and self._is_own(channel.requests[0])
        (self._own if is_own else self._calls).add_task(channel)

    def _is_own(self, request):
        """Whatever the handler may come to answer is none of ours: it could hold these threads."""
        path = getattr(request, "path", None)
        if path == "/_/ready":
            return not READY_PATH
        if path == "/_/health":
            return True
        return self._swap is not None and self._swap.knows(path, request.headers.get("X_FAASDOCK_TOKEN"))

    def shutdown(self, *args, **kwargs):
        return True


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
            if channel.request is not None and 0 < channel.began < latest and not debugger.is_open():
                log(f"a request was not read within its read_timeout of {READ_TIMEOUT.text}")
                channel.will_close = True

    if READ_TIMEOUT.seconds > 0:
        server.maintenance = maintenance


# --- loading in the main thread ---------------------------------------------------------------------------------------


class Load:
    """A load that the main thread is asked for."""

    def __init__(self, work):
        self._work = work
        self._lock = threading.Lock()
        self._given_up = False
        self._wanted = False
        self.done = threading.Event()
        self.result = None

    def run(self):
        try:
            self.result = self._work(self._claim)
        except BaseException as error:
            self.result = error
        self.done.set()

    def _claim(self):
        with self._lock:
            self._wanted = not self._given_up
            return self._wanted

    def give_up(self):
        """True where the load is not through yet: then its result will be thrown away."""
        with self._lock:
            self._given_up = not self._wanted
            return self._given_up


class Loader:
    """Takes loads to the main thread, and says so where one does not come back."""

    def __init__(self, path):
        self._path = path
        self._loads = queue.SimpleQueue()
        # Python runs signal handlers in the main thread, but the kernel may wake another one: a byte wakes the right one.
        self._bell, self._rung = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._rung, False)
        self._last = None
        self.afterwards = None

    @property
    def stuck(self):
        return self._last is not None and not self._last.done.is_set()

    def run(self):
        """The rest of the main thread's life."""
        bell = select.poll()
        bell.register(self._bell, select.POLLIN)
        while True:
            # Again after each load, and now and then: code of the handler may have taken the bell away.
            signal.set_wakeup_fd(self._rung, warn_on_full_buffer=False)
            bell.poll(1000)
            with contextlib.suppress(BlockingIOError):
                os.read(self._bell, 4096)
            while not self._loads.empty():
                self._loads.get().run()

    def load_anew(self, former, number):
        def work(is_wanted):
            try:
                return modules.load_anew(former, number, self._path, is_wanted)
            finally:
                self.afterwards()

        load = Load(work)
        self._last = load
        self._loads.put(load)
        with contextlib.suppress(BlockingIOError):  # full: it rings already
            os.write(self._rung, b"!")
        # Interrupting it takes a moment, and code in C may not let itself be interrupted.
        if not debugger.waited(load.done.wait, modules.LOAD_LIMIT + 1) and load.give_up():
            raise modules.LoadFailed(f"the handler did not load within {modules.LOAD_LIMIT:g} s")
        load.done.wait()
        if isinstance(load.result, BaseException):
            raise load.result
        return load.result


# --- the end ----------------------------------------------------------------------------------------------------------


def busy(watchdog):
    channels = list(watchdog.server.active_channels.values()) if watchdog.server else []
    return watchdog.inflight > 0 or any(channel.requests or channel.total_outbufs_len for channel in channels)


def drain(watchdog, name):
    """SIGTERM: no new work, what is in flight is finished, then the process ends; at once when it is idle."""
    deadline = time.monotonic() + WRITE_TIMEOUT.seconds if WRITE_TIMEOUT.seconds > 0 else None
    log(f"{name}: {watchdog.inflight} calls in flight are finished first")
    while busy(watchdog):
        if deadline is not None and time.monotonic() > deadline:
            log(f"still {watchdog.inflight} calls in flight after write_timeout")
            break
        time.sleep(0.005)
    watchdog.generation.run_exits()
    with belongings.held(), contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    flush()
    # Threads of handlers that overran their limit would keep an ordinary exit waiting.
    belongings.end(0)


def flush():
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a handler may have closed it
            if isinstance(stream, PrefixedStream):
                stream.end_line()
            stream.flush()


def stop_on(signals, watchdog):
    """
    Replaces whatever the handler does about these signals; its own reaction comes at the end of the drain. Returns what
    does so again, after the next load.
    """

    def on_signal(number, frame):
        if watchdog.draining:
            return
        watchdog.draining = True
        watchdog.remove_lock()
        # On the thread that serves the sockets, which must not lose one while it looks at it.
        watchdog.server.trigger.pull_trigger(lambda: wasyncore.dispatcher.close(watchdog.server))
        name = signal.Signals(number).name
        threading.Thread(target=drain, args=(watchdog, name), daemon=True).start()

    def install():
        for one in signals:
            signal.signal(one, on_signal)

    install()
    return install


def answer_at_exit(watchdog):
    """A handler that calls os._exit owes its callers an answer, and the log a line."""

    def answer(code):
        log(f"the handler called os._exit({code})")
        watchdog.draining = True
        watchdog.end_all(Ended(f"the function's process ended with code {code} during the call"))
        latest = time.monotonic() + 1
        while busy(watchdog) and time.monotonic() < latest:
            time.sleep(0.002)
        flush()

    belongings.answer_before_exit(answer, lambda generation: generation is watchdog.generation)


# --- start ------------------------------------------------------------------------------------------------------------


def take_token():
    """The token of docs/runtime.md. The handler and its children never see it: not in the environment either."""
    token = os.environ.pop("FAASDOCK_SWAP_TOKEN", "")
    if not token:
        return ""
    # /proc/PID/environ shows the strings that the process was started with, so they are written over.
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[47]), int(fields[48])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            at = memory.read(end - start).find(b"FAASDOCK_SWAP_TOKEN=")
            if at >= 0:
                memory.seek(start + at)
                memory.write(b"\0" * (len("FAASDOCK_SWAP_TOKEN=") + len(token.encode())))
    return token


def first_load(token):
    """The generation that the container starts with, and how the main thread loads later ones."""
    number = 1
    path = [HOME, *(entry for entry in sys.path if entry != HOME)]
    sys.path[:] = path
    if token:
        from . import swap

        former, number = swap.undo(), swap.stored()[0] + 1
        if former is not None:
            swap.store(number, former)
            log("the process ended while it loaded a swap; the files before it are back")
        belongings.note()
        # What is here before the handler stays: the collector need not look at it after each swap.
        gc.freeze()
        modules.own_folder()
    generation = modules.Source.owner = Generation(number)
    before = modules.signals()
    try:
        modules.load(generation)
    except modules.LoadFailed as failed:
        log(f"the handler failed to load: {failed.message}")
        write(failed.stack.rstrip("\n") + "\n")
        flush()
        belongings.end(1)
    generation.signals = modules.changed_signals(before)
    return generation, Loader(path)


def serve():
    """Loads the handler, then listens; never returns."""
    token = take_token()
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    if flag("prefix_logs", True):
        sys.stdout = PrefixedStream(sys.stdout, "stdout")
        sys.stderr = PrefixedStream(sys.stderr, "stderr")
    if flag("jwt_auth", False):
        log("jwt_auth is not supported here, and a function that should be protected must not run without it")
        flush()
        belongings.end(1)
    watchdog = Watchdog(make_contract())
    answer_at_exit(watchdog)
    watchdog.generation, loader = first_load(token)
    if token:
        from .swap import Swap

        watchdog.swap = Swap(token, watchdog, loader)
    port = whole_number("port", 8080)
    lanes = Lanes(watchdog.swap)
    sockets = {}
    try:
        server = create_server(
            watchdog,
            map=sockets,
            _dispatcher=lanes,
            host="0.0.0.0",
            port=port,
            connection_limit=4096,
            backlog=1024,
            asyncore_use_poll=True,
            # A replica may be paused and woken: a limit for idle connections would run out meanwhile, and close the
            # very one that the waking call comes in on. The gateway ends its idle connections itself.
            channel_timeout=10 * 365 * 86400,
            cleanup_interval=1,
            # In memory, as the handler's text or bytes are anyway: for temporary files there may be no room, or no folder.
            inbuf_overflow=sys.maxsize,
            outbuf_overflow=sys.maxsize,
        )
    except OSError as error:
        log(f"cannot listen on port {port}: {error}")
        flush()
        belongings.end(1)
    watchdog.server = server
    server.channel_class = Channel
    watch_reads(server)
    loader.afterwards = stop_on((signal.SIGTERM, signal.SIGINT), watchdog)
    watchdog.write_lock()
    log(f"listening on port {port}, Python {sys.version.split()[0]}, contract {CONTRACT}")
    serve_metrics(watchdog, sockets)
    threading.Thread(target=server.run, daemon=True, name="sockets").start()
    loader.run()


def serve_metrics(watchdog, sockets):
    port = whole_number("metrics_port", 8081)
    if not port:
        return
    try:
        create_server(
            metrics_application(watchdog.metrics, lambda: watchdog.inflight),
            map=sockets,
            _dispatcher=GrowingDispatcher(2),
            host="0.0.0.0",
            port=port,
            asyncore_use_poll=True,
        )
    except OSError as error:
        log(f"no metrics: {error}")
