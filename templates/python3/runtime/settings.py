"""What the environment says, read once."""

import os
import re

from .log import log

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)"


def go_duration(text):
    """Seconds of a Go duration such as 1m30s, None when it is none."""
    if text == "0":
        return 0.0
    if not re.fullmatch(f"\\+?(?:{_PART})+", text, re.ASCII):
        return None
    return sum(float(amount) * _UNITS[unit] for amount, unit in re.findall(_PART, text))


class Limit:
    """A time limit: seconds (0 means none), the setting's name, and its value as the user wrote it."""

    def __init__(self, name, seconds, text):
        self.name = name
        self.seconds = seconds
        self.text = text


def time_limit(name, fallback):
    text = os.environ.get(name, "") or fallback
    if text.isascii() and text.isdigit():
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
    if text.isascii() and text.isdigit():
        return int(text)
    log(f"{name}={text} is no whole number; {fallback} is used")
    return fallback


def flag(name, fallback):
    text = os.environ.get(name, "")
    return fallback if text == "" else text.lower() in ("true", "1")


HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Where the handler is. Whatever a module's file lies below belongs to the user.
FOLDER = os.path.join(HOME, "function")

CONTRACT = os.environ.get("function_contract", "classic")
READ_TIMEOUT = time_limit("read_timeout", "30s")
WRITE_TIMEOUT = time_limit("write_timeout", "30s")
EXEC_TIMEOUT = time_limit("exec_timeout", "0s" if CONTRACT == "classic" else "30s")
MAX_INFLIGHT = whole_number("max_inflight", 0)
READY_PATH = os.environ.get("ready_path", "")
LOG_CALL_ID = flag("log_callid", False)
RAW_BODY = flag("RAW_BODY", False)


def below(path):
    """Whether a path is the handler folder or lies in it."""
    return path == FOLDER or path.startswith(FOLDER + os.sep)
