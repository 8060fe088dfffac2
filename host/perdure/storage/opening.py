"""Opening a connection's store. The Azure SDKs are imported only when one is on Azure."""

from __future__ import annotations

from typing import Literal

from perdure.storage.connection import Connection, SqliteConnection
from perdure.storage.protocol import Queues, Storage

MessageEncoding = Literal["base64", "none"]
"""How message bodies travel, as host.json's `extensions.queues.messageEncoding` says."""


def open_storage(connection: Connection, hub: str) -> Storage:
    """Return the storage of `hub`; nothing is sent before the first call. Raises `SettingsError`."""
    if isinstance(connection, SqliteConnection):
        from perdure.storage.sqlite import SqliteStorage

        return SqliteStorage.open(hub, connection.path)
    from perdure.storage.azure import AzureStorage

    return AzureStorage(connection, hub)


def open_queues(connection: Connection, message_encoding: MessageEncoding = "base64") -> Queues:
    """Return the account's queues alone, for queue triggers and outputs. Raises `SettingsError`."""
    if isinstance(connection, SqliteConnection):
        from perdure.storage.sqlite import Database, SqliteQueues

        return SqliteQueues(Database.shared(connection.path))
    from perdure.storage.azure import AzureQueues

    return AzureQueues(connection, message_encoding)
