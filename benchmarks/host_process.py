"""`perdure start` as a process of its own, with the benchmark's app."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from types import TracebackType
from typing import Self

from benchmarks.stores import ROOT, Place

_APP = ROOT / "benchmarks" / "app"
_LISTENS = re.compile(r"^Listening on (http://\S+)")
_PID = re.compile(r"^Host process id: (\d+)")


class HostProcess:
    """A host that serves the app in `benchmarks/app`; use it as a context manager.

    Raises RuntimeError with the host's own words if it does not listen.
    """

    def __init__(self, place: Place) -> None:
        # the app counts its requests with the benchmark's own modules
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environ = {**os.environ, "AzureWebJobsStorage": place.connection, "PYTHONPATH": os.pathsep.join(paths)}
        options = ["--app-dir", str(_APP), "--port", "0", "--no-reload", "--no-check"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "perdure.cli.main", "start", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environ,
        )
        self.url = ""
        self.pid = self._process.pid
        """Of the process that runs the functions."""

    def __enter__(self) -> Self:
        said = []
        output = self._process.stdout
        for line in output or ():
            said.append(line)
            if found := _PID.match(line):
                self.pid = int(found[1])
            if found := _LISTENS.match(line):
                self.url = found[1]
                # somebody must read on, or the host waits for room in the pipe
                threading.Thread(target=lambda: [None for _ in output or ()], daemon=True).start()
                return self
        self._process.wait()
        raise RuntimeError(f"the host did not start: {''.join(said)[-2000:]}")

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
