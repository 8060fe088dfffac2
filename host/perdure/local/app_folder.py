"""The files that make a folder a Function app."""

from __future__ import annotations

import os
from pathlib import Path

from perdure.local.errors import HostError

SCRIPT = "function_app.py"
HOST_JSON = "host.json"
LOCAL_SETTINGS = "local.settings.json"


def check_app_folder(app_dir: Path) -> None:
    """Raise `HostError` unless the folder has what every Function app has."""
    if not os.path.isdir(app_dir):  # noqa: PTH112 - Path's own raises for what no folder can be called
        raise HostError(f"There is no folder {app_dir}. Give the Function app's folder with --app-dir.")
    if not (app_dir / SCRIPT).is_file():
        raise HostError(
            f"No {SCRIPT} in {app_dir}. Run this in the folder of a Function app (Python v2 model), or give --app-dir."
        )
    if not (app_dir / HOST_JSON).is_file():
        raise HostError(f'No {HOST_JSON} in {app_dir}. Create one; the smallest is {{"version": "2.0"}}.')
