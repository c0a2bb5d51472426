"""The watchdog's own lines, and the prefix of the handler's."""

import os
import sys
import threading
import time

# A copy of the descriptor: a handler may close or replace its own stderr.
_stderr = os.dup(2)


def write(text):
    """Writes to the container's stderr, whatever the handler did to sys.stderr. Never throws."""
    rest = text.encode("utf-8", "backslashreplace")
    try:
        while rest:
            rest = rest[os.write(_stderr, rest) :]
    except OSError:
        pass  # nobody reads the log any more; calls are still answered


def now():
    return time.strftime("%Y/%m/%d %H:%M:%S")


def log(line):
    write(f"{now()} {line}\n")


class PrefixedStream:
    """`prefix_logs`: each line that the handler prints gets a time and the name of the stream."""

    # A line that never ends must not be kept for ever: this much is passed on as if it had ended.
    LONGEST = 65536

    def __init__(self, stream, name):
        self._stream = stream
        self._name = name
        self._parts = []
        self._size = 0
        self._lock = threading.Lock()

    def write(self, text):
        with self._lock:
            *lines, rest = text.split("\n")
            for line in lines:
                self._line("".join(self._parts) + line)
                self._parts.clear()
                self._size = 0
            if rest:
                self._parts.append(rest)
                self._size += len(rest)
            while self._size >= self.LONGEST:
                whole = "".join(self._parts)
                self._line(whole[: self.LONGEST])
                self._parts[:] = [whole[self.LONGEST :]]
                self._size = len(self._parts[0])
            if lines:
                self._stream.flush()
        return len(text)

    def writelines(self, lines):
        for line in lines:
            self.write(line)

    def end_line(self):
        """At the end of the process: a line that was begun is a line."""
        with self._lock:
            if self._size:
                self._line("".join(self._parts))
                self._parts.clear()
                self._size = 0

    def _line(self, line):
        self._stream.write(f"{now()} {self._name}: {line}\n")

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
