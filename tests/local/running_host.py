"""`perdure start` as a process of its own, as a person at a terminal runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

DEADLINE = 60.0
"""Seconds after which whatever a test waits for is held to be missing."""

_HEADER = """import logging, os, time
from pathlib import Path
import azure.functions as func

app = func.FunctionApp()
"""

_OURS = ("AzureWebJobs", "PERDURE_", "FUNCTIONS_", "AZURE_FUNCTIONS_", "WEBSITE_")


class RunningHost:
    """A running `perdure start`; ends with the block that it is used in, whatever happens there."""

    def __init__(self, app_dir: Path, *options: str, environ=None):
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        command = [sys.executable, "-m", "perdure.cli.main", "start", "--app-dir", str(app_dir), *options]
        if "--port" not in options:
            command += ["--port", "0"]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env={**inherited, **(environ or {})},
        )
        self.lines: list[str] = []
        self._more = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        children = self.host_pids
        self.process.kill()
        self.process.wait()
        for pid in children:
            end(pid)
        self._reader.join(DEADLINE)
        self.process.stdout.close()

    def _read(self):
        for line in self.process.stdout:
            with self._more:
                self.lines.append(line.rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    @property
    def text(self):
        return "\n".join(self.lines)

    @property
    def host_pids(self):
        """Ids of the processes that have run functions so far, oldest first."""
        return [int(pid) for pid in re.findall(r"^Host process id: (\d+)$", self.text, re.MULTILINE)]

    @property
    def url(self):
        return re.findall(r"^Listening on (\S+)", self.text, re.MULTILINE)[-1]

    def wait_for(self, pattern, *, times=1):
        """Wait until a line that matches has been printed so often; return the last match."""
        deadline = time.monotonic() + DEADLINE
        with self._more:
            while True:
                found = list(re.finditer(pattern, self.text, re.MULTILINE))
                if len(found) >= times:
                    return found[-1]
                if self._ended or time.monotonic() > deadline:
                    why = "the host ended" if self._ended else "time is up"
                    raise AssertionError(f"{why} without {times} x {pattern!r}:\n{self.text}")
                self._more.wait(1)

    def wait_ready(self, *, times=1):
        self.wait_for(r"^Listening on ", times=times)
        return self

    def wait_exit(self):
        """Wait for the end; return the exit code. All output has been read then."""
        code = self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        return code

    def signal(self, number=signal.SIGINT):
        self.process.send_signal(number)

    def request(self, path, body=None, method=None):
        """Return status and text of an answer."""
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(self.url + path, data=data, method=method)  # noqa: S310 - our own address
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as response:  # noqa: S310 - as above
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


def write_app(folder: Path, source: str, *, host_json=None, settings=None) -> Path:
    """Write a Function app into the folder; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rewrite(folder, source)
    (folder / "host.json").write_text(json.dumps(host_json or {"version": "2.0"}), encoding="utf-8")
    if settings is not None:
        content = {"IsEncrypted": False, "Values": settings}
        (folder / "local.settings.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def rewrite(folder: Path, source: str) -> None:
    """Write the app's code anew, all at once as editors do."""
    new = folder / "function_app.py~"
    new.write_text(_HEADER + source, encoding="utf-8")
    new.replace(folder / "function_app.py")


def wait_until(condition, what, seconds=DEADLINE, every=0.02):
    """Wait until the condition holds; look at it every so many seconds: not often where looking is a host's work."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"time is up without: {what}"
        time.sleep(every)


def lives(pid):
    """Whether the process runs (one that has ended and was not yet waited for does not)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"


def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
