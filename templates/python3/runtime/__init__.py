"""The Python runtime of a function: waitress serves port 8080, and this package is its watchdog.

What a handler sees is decided by the contract the image was built for (`lang` in the stack file):
  classic      handle(req): text in, the return value is printed             python3
  http         handle(event, context): dict out                              python3-http
  http-debian  the same, octet-stream answers may be bytes                   python3-http-debian
  flask        handle(req): whatever Flask accepts                           python3-flask

settings and log are used by all; contracts turns a request into a call of the handler; generation is one load of the
handler's code, modules loads it, belongings notes what it leaves in the process; swap replaces it; watchdog is the WSGI
application around all of them, and server runs it. README.md lists what differs from the official templates on purpose.
"""

from .server import serve

__all__ = ["serve"]
