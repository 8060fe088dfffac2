"""The stores that are measured, opened so that every request is counted."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perdure.errors import PerdureError
from perdure.local.azurite import find_azurite, start_azurite
from perdure.storage.connection import AzureConnection, resolve_connection
from perdure.storage.counting import CountingStorage
from perdure.storage.opening import open_storage
from perdure.storage.protocol import Storage

ROOT = Path(__file__).parent.parent
STORES = ("sqlite", "azurite")


@dataclass(frozen=True)
class Place:
    """A store that is there for one measurement."""

    name: str
    """`sqlite` or `azurite`."""
    connection: str
    """The connection string."""
    pids: tuple[int, ...] = ()
    """Processes of the store itself: Azurite's, none for SQLite."""


@contextmanager
def new_place(store: str) -> Iterator[Place]:
    """Yield an empty store: a file on the project's own disk, or an Azurite in memory.

    Raises:
        PerdureError: there is no Azurite.
    """
    if store == "azurite":
        command = find_azurite(Path(os.environ.get("PERDURE_AZURITE_DIR", ROOT)))
        if command is None:
            raise PerdureError(
                "The benchmark needs Azurite: run `make bench`, which installs it, or say STORES=sqlite."
            )
        with start_azurite(command) as azurite:
            yield Place(store, azurite.connection_string, (azurite.pid,))
        return
    parent = ROOT / ".perdure"
    parent.mkdir(exist_ok=True)
    # not the system's directory for temporary files: that may be memory, which needs no flush
    with tempfile.TemporaryDirectory(dir=parent, prefix="bench-") as folder:
        yield Place(store, f"sqlite:///{Path(folder) / 'hub.db'}")


def open_counted(place: Place, hub: str, counts: Counter[str]) -> Storage:
    """Return the storage of `hub`; `counts` gets its requests by kind: HTTP requests on Azurite, calls on SQLite."""
    connection = resolve_connection("Storage", {"Storage": place.connection})
    if isinstance(connection, AzureConnection):
        from perdure.storage.azure.storage import AzureStorage  # the SDKs' memory is no part of SQLite's figures

        return AzureStorage(connection, hub, observer=lambda kind: counts.update([kind]))
    storage = CountingStorage(open_storage(connection, hub))
    storage.counts = counts
    return storage


def open_plain(place: Place, hub: str) -> Storage:
    """Return a storage of `hub` whose requests nobody counts: for those who watch."""
    return open_storage(resolve_connection("Storage", {"Storage": place.connection}), hub)
