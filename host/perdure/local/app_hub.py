"""The app in a folder, loaded by a tool that looks at it and its task hub without running it."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure.local.app_folder import SCRIPT, check_app_folder
from perdure.local.errors import HostError
from perdure.local.exit_codes import WRONG_USAGE
from perdure.local.settings import apply_values, read_local_settings
from perdure.local.storage_choice import chosen_storage, parse_storage_choice

if TYPE_CHECKING:
    from perdure.storage.protocol import Storage


@contextmanager
def loaded_app(app_dir: Path, storage: str | None) -> Iterator[Any]:
    """Load the app as the local host does: its settings in the environment, its folder the current one.

    What it prints meanwhile goes to standard error: standard output is the tool's.

    Args:
        app_dir: the app's folder.
        storage: what `--storage` says.

    Raises:
        HostError: the folder holds no app with durable functions, or it can't be loaded; or what is done with it found
            no store where the app's own settings say.
    """
    from perdure.local.app_loading import load_app
    from perdure.storage.protocol import StorageUnavailable

    folder = app_dir.resolve()
    check_app_folder(folder)
    with ExitStack() as stack:
        with redirect_stdout(sys.stderr):
            stack.enter_context(chosen_storage(parse_storage_choice(storage), folder, os.environ, join=True))
            apply_values(read_local_settings(folder), os.environ)
            os.environ.setdefault("AzureWebJobsScriptRoot", str(folder))
            os.chdir(folder)
            app = load_app(folder)
        if not hasattr(app, "runtime") or not hasattr(app, "registry"):
            raise HostError(
                f"The app in {SCRIPT} is no durable one: make it with app = df.DFApp().", exit_code=WRONG_USAGE
            )
        try:
            yield app
        except StorageUnavailable as error:
            if storage is not None:
                raise
            hint = "Was the app started with --storage embedded or azurite? Then say the same here."
            raise HostError(f"{error} {hint}") from error


@asynccontextmanager
async def hub_of(app: Any) -> AsyncIterator[Storage]:
    """Open the storage of a loaded app's own hub; nothing is created there.

    Raises:
        HostError: an embedded store that does not exist yet.
        SettingsError: the app's settings, or its connection, make no sense.
    """
    from perdure.storage.connection import SqliteConnection, resolve_connection
    from perdure.storage.opening import open_storage

    settings = app.runtime.settings
    connection = resolve_connection(settings.connection, os.environ)
    if isinstance(connection, SqliteConnection) and (connection.path is None or not connection.path.exists()):
        raise HostError(
            f"Task hub '{settings.hub}' is in {connection.path or 'the memory of another process'}, which does not "
            f"exist here: run the app on it first, or say --storage embedded if that is where it ran.",
            exit_code=WRONG_USAGE,
        )
    storage = open_storage(connection, settings.hub)
    try:
        yield storage
    finally:
        await storage.close()
