"""Which files of a folder are an app's own code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_OTHERS = frozenset({"venv", "env", "node_modules", "__pycache__", "site-packages", "tests", "test"})
"""Folders whose files are not the app's code; those whose name begins with a dot are not, either."""


def python_files(folder: Path) -> Iterator[Path]:
    """Yield the Python files of a folder in order, without virtual environments, hidden folders and tests."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            others = entry.name in _OTHERS or (entry / "pyvenv.cfg").exists()
            if not others and not entry.is_symlink():  # links may lead in circles
                yield from python_files(entry)
        elif entry.suffix == ".py" and not _is_test(entry.name):
            yield entry


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
