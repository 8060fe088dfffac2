"""What is measured on a whole host: `perdure start` with the app in `benchmarks/app`, in a process of its own."""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from benchmarks.host_process import HostProcess
from benchmarks.measuring import Meter, cpu_of, measured, peak_mib, percentile, resident_mib
from benchmarks.stores import Place

_START = "/api/durabletask/orchestrators/chain?timeout=30"
_FLOOR = "/api/floor"
_WARM = 10
_IMPORTS = 5
_HOUR = 3600


def start(place: Place, sizes: dict[str, int], _shape: dict[str, float]) -> dict[str, Any]:
    """Milliseconds from a POST to the answer that the chain has completed."""
    return _posts(place, sizes, _START)


def start_floor(place: Place, sizes: dict[str, int], _shape: dict[str, float]) -> dict[str, Any]:
    """The same for a function that only writes."""
    return _posts(place, sizes, _FLOOR)


def _posts(place: Place, sizes: dict[str, int], path: str) -> dict[str, Any]:
    with HostProcess(place) as host:
        posting = _Posting(host.url)
        for _ in range(_WARM):
            posting.post(path)
        before = posting.counts()
        meter = Meter(children=[host.pid], store=place.pids)
        for _ in range(sizes["posts"]):
            with meter:
                posting.post(path)
        after = posting.counts()
        milliseconds = [wall * 1000 for wall in meter.walls]
        figures = {"p50_ms": percentile(milliseconds, 0.5), "p95_ms": percentile(milliseconds, 0.95)}
        requests = {kind: round(number / sizes["posts"], 2) for kind, number in sorted((after - before).items())}
        return {**measured(meter, figures), "requests": requests, "peak_mib": peak_mib(host.pid)}


def idle(place: Place, sizes: dict[str, int], _shape: dict[str, float]) -> dict[str, Any]:
    """Requests an hour, memory and CPU of a host with nothing to do; how long its main import takes."""
    with HostProcess(place) as host:
        posting = _Posting(host.url)
        posting.post(_START)
        time.sleep(sizes["settle_s"])
        before, used = posting.counts(), cpu_of([host.pid])
        time.sleep(sizes["watch_s"])
        hours = sizes["watch_s"] / _HOUR
        asked = posting.counts() - before
        figures = {
            "requests_per_hour": asked.total() / hours,
            "resident_mib": resident_mib(host.pid),
            "import_s": _import_seconds(),
        }
        return {
            "figures": {name: round(value, 3) for name, value in figures.items()},
            "rounds": [],
            "wall": sizes["watch_s"],
            "cpu": round(cpu_of([host.pid]) - used, 3),
            "store_cpu": 0.0,
            "peak_mib": peak_mib(host.pid),
            "requests": dict(sorted(asked.items())),
        }


def _import_seconds() -> float:
    code = "import time; t = time.perf_counter(); import perdure_functions; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(_IMPORTS)
    ]
    return statistics.median(float(run.stdout) for run in runs)


class _Posting:
    """Requests to the host, over one connection while it is busy."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._connection = self._connected()

    def post(self, path: str) -> None:
        _answer(self._connection, "POST", path)

    def counts(self) -> Counter[str]:
        # the host closes connections that nothing is asked over for some seconds
        return Counter(json.loads(_answer(self._connected(), "GET", "/api/counts")))

    def _connected(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._address, timeout=60)


def _answer(connection: http.client.HTTPConnection, method: str, path: str) -> bytes:
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{method} {path} was answered {answer.status}: {body[:500]!r}")
    return body
