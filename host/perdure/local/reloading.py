"""Noticing that the app's files change."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from perdure.local.app_folder import HOST_JSON, LOCAL_SETTINGS
from perdure.local.logs import complain

_IGNORED_FOLDERS = frozenset({"venv", "env", "node_modules", "__pycache__", "tests", "test", "site-packages"})
"""Folders whose files are not the app's code; those whose name begins with a dot are ignored, too."""


def is_source(path: PurePath, app_dir: PurePath) -> bool:
    """Whether a change of this file means that the app must be loaded anew."""
    if not path.is_relative_to(app_dir):
        return False
    *folders, name = path.relative_to(app_dir).parts
    if any(folder in _IGNORED_FOLDERS or folder.startswith(".") for folder in folders):
        return False
    return path.suffix == ".py" or (not folders and name in {HOST_JSON, LOCAL_SETTINGS})


@contextmanager
def watching(app_dir: Path, on_change: Callable[[list[str]], None]) -> Iterator[None]:
    """Call `on_change` with the names of changed files, from a thread of its own, for as long as the block runs.

    Where the operating system can't watch files, that is said once and nothing is watched.
    """
    stop = threading.Event()

    def watch() -> None:
        import watchfiles

        try:
            for changes in watchfiles.watch(
                app_dir,
                watch_filter=lambda _change, path: is_source(PurePath(path), app_dir),
                stop_event=stop,
                ignore_permission_denied=True,
            ):
                on_change(sorted({str(PurePath(path).relative_to(app_dir)) for _, path in changes}))
        except OSError as error:
            complain(f"Files can't be watched, so changes need a restart by hand: {error}")

    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    thread = threading.Thread(target=watch, name="file watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        # native code that wakes up while the interpreter ends would abort the process
        thread.join()
