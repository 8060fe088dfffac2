"""Azurite for tests: one in memory per test process, and none of its tests is ever skipped for lack of it."""

from __future__ import annotations

import os
from pathlib import Path

from perdure.local.azurite import Command, find_azurite

ROOT = Path(__file__).parent.parent


def require_azurite() -> Command:
    """Return the Azurite in PERDURE_AZURITE_DIR, in the project, or on PATH; fail loudly if there is none."""
    directory = Path(os.environ.get("PERDURE_AZURITE_DIR", ROOT))
    command = find_azurite(directory)
    if command is None:
        raise RuntimeError(
            f"These tests need Azurite, and there is none in {directory} or on PATH: run `make test`, which installs "
            "it, or `npm install azurite@3.36` in the project, or set PERDURE_AZURITE_DIR to where it is installed."
        )
    return command
