"""Installing peers and measuring them, each in a process of its own environment."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks.measuring import load
from benchmarks.peers import PEERS, Peer
from benchmarks.records import Record
from benchmarks.stores import ROOT

_HOME = ROOT / ".perdure" / "peers"
_INSTALLS_WITHIN = 600
_LONGEST = 900
_SAID = 300
_FOLDERS = re.compile(r"/(?:[^\s/'\"]+/)+")


class PeerMissing(Exception):
    """A peer can't be installed here; the text says why."""


class PeerFailed(Exception):
    """A peer is here, but did not get through a workload; the text says why."""


def measure_peer(name: str, workload: str, sizes: dict[str, int]) -> Record:
    """Install a peer if need be, and measure a workload on it. Raises `PeerMissing` and `PeerFailed`."""
    peer = PEERS[name]
    home = _HOME / name
    python = _installed(peer, home)
    with tempfile.TemporaryDirectory(dir=_HOME, prefix="state-") as folder:
        busy = load()
        order = {"workload": workload, "sizes": sizes, "folder": folder, "home": str(home)}
        found = _measured(python, peer, order)
    version = _version(python, peer)
    return msgspec.convert(
        {
            **found,
            "system": f"{name} {version}",
            "store": peer.store,
            "workload": workload,
            "sizes": sizes,
            "load": busy,
        },
        Record,
    )


def _measured(python: Path, peer: Peer, order: Mapping[str, object]) -> dict[str, object]:
    try:
        done = subprocess.run(
            [str(python), "-m", f"benchmarks.peers.{peer.module}"],
            input=json.dumps(order).encode(),
            capture_output=True,
            cwd=ROOT,
            timeout=_LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PeerFailed(f"it was not done in {_LONGEST} s") from error
    if done.returncode:
        raise PeerFailed(_last_words(done.stderr))
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=dict[str, object])


def _installed(peer: Peer, home: Path) -> Path:
    """Return the Python of a peer's environment, made now if it is missing or meant for other packages."""
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = home / "installed.txt"
    wanted = "\n".join([*peer.packages, *peer.npm])
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(home, ignore_errors=True)
    home.parent.mkdir(parents=True, exist_ok=True)
    _run(sys.executable, "-m", "venv", str(home))
    _run(str(python), "-m", "pip", "install", "--quiet", *peer.packages)
    if peer.npm:
        npm = shutil.which("npm")
        if npm is None:
            raise PeerMissing("it needs npm, and there is none on PATH")
        quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
        _run(npm, "install", *quiet, "--prefix", str(home), *peer.npm)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_INSTALLS_WITHIN, check=False)
    except subprocess.TimeoutExpired as error:
        raise PeerMissing(f"it could not be installed within {_INSTALLS_WITHIN} s") from error
    if done.returncode:
        raise PeerMissing(f"it can't be installed here: {_last_words(done.stderr)}")


def _version(python: Path, peer: Peer) -> str:
    package = peer.packages[0].partition(">")[0]
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _last_words(output: bytes) -> str:
    """Return the end of what a process said, on one line, without this machine's folders."""
    text = _FOLDERS.sub("", " ".join(output.decode(errors="replace").split()))
    return text[-_SAID:] or "it said nothing"
