"""What `perdure start` was asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

StorageChoice = Literal["embedded", "azurite"]

DEFAULT_PORT = 7071

STATE_DIR = ".perdure"
"""Folder in the app's folder for what the host keeps between runs."""


@dataclass(frozen=True, kw_only=True)
class HostOptions:
    """Options of one host process."""

    app_dir: Path
    """The folder with function_app.py and host.json, absolute."""
    port: int = DEFAULT_PORT
    """0: any free port."""
    address: str = "127.0.0.1"
    verbose: bool = False
    invisibility: float = 60.0
    """Seconds for which a received queue message stays hidden; renewed at half of it while its function runs."""
    storage: StorageChoice | None = None
    check: bool = True
    """Warn of orchestrator code that breaks replay."""
    drain_timeout: float = 10.0
    """Seconds that running invocations get to finish when the host stops."""
