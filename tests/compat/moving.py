"""Apps written for Durable Functions, moved to Perdure: one line of each module is replaced by another."""

from __future__ import annotations

import shutil
from pathlib import Path

APPS = Path(__file__).parent / "apps"
OLD, NEW = "import azure.durable_functions as df\n", "import perdure_functions as df\n"


def app_names() -> list[str]:
    return sorted(path.parent.name for path in APPS.glob("*/function_app.py"))


def moved_apps(folder: Path) -> Path:
    """Copy all apps into a folder, with that one line replaced."""
    moved = folder / "apps"
    shutil.copytree(APPS, moved, ignore=shutil.ignore_patterns("__pycache__"))
    for path in moved.rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        assert code.count(OLD) == code.count("durable_functions") == 1, path
        path.write_text(code.replace(OLD, NEW), encoding="utf-8")
    return moved
