"""The three series of the official watchdogs, and the server that tells them."""

import threading

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    def __init__(self):
        self._lock = threading.Lock()
        self._series = {}

    def count(self, method, status, seconds):
        # A caller may invent methods; a series each would grow without end.
        name = method.lower() if method in METHODS else "unknown"
        key = f'code="{status}",method="{name}"'
        with self._lock:
            one = self._series.setdefault(key, [0, 0.0, [0] * len(BUCKETS)])
            one[0] += 1
            one[1] += seconds
            for i, most in enumerate(BUCKETS):
                if seconds <= most:
                    one[2][i] += 1

    def text(self, inflight):
        totals, durations = [], []
        with self._lock:
            for key, (total, seconds, within) in self._series.items():
                name = "http_request_duration_seconds"
                totals.append(f"http_requests_total{{{key}}} {total}")
                for most, n in zip(BUCKETS, within):
                    durations.append(f'{name}_bucket{{{key},le="{most}"}} {n}')
                durations.append(f'{name}_bucket{{{key},le="+Inf"}} {total}')
                durations.append(f"{name}_sum{{{key}}} {seconds}")
                durations.append(f"{name}_count{{{key}}} {total}")
        return "\n".join(
            ["# HELP http_requests_total Total number of HTTP requests made.", "# TYPE http_requests_total counter"]
            + totals
            + [
                "# HELP http_request_duration_seconds Seconds spent serving HTTP requests.",
                "# TYPE http_request_duration_seconds histogram",
            ]
            + durations
            + [
                "# HELP http_requests_in_flight Number of HTTP requests being served.",
                "# TYPE http_requests_in_flight gauge",
                f"http_requests_in_flight {inflight}",
                "",
            ]
        )


METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"}


def metrics_application(metrics, inflight):
    """A WSGI application that answers /metrics."""

    def application(environ, start_response):
        found = environ["PATH_INFO"] == "/metrics"
        body = (metrics.text(inflight()) if found else "404 page not found\n").encode()
        start_response(
            "200 OK" if found else "404 Not Found",
            [("Content-Type", "text/plain; version=0.0.4; charset=utf-8"), ("Content-Length", str(len(body)))],
        )
        return [body]

    return application
