"""The queues that an app's triggers and outputs name, opened once per connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from perdure.errors import SettingsError
from perdure.local.catalog import Binding
from perdure.local.errors import HostError
from perdure.local.settings import resolve_expressions
from perdure.storage.connection import resolve_connection
from perdure.storage.limits import check_queue
from perdure.storage.opening import open_queues
from perdure.storage.protocol import Queues, StorageError

DEFAULT_CONNECTION = "AzureWebJobsStorage"


class QueueConnections:
    """Opens queues by connection name and closes them together.

    Args:
        environ: Where settings live.
        message_encoding: How bodies travel (host.json).
    """

    def __init__(self, environ: Mapping[str, str], message_encoding: Literal["base64", "none"]) -> None:
        self._environ = environ
        self._message_encoding = message_encoding
        self._opened: dict[str, Queues] = {}

    def open(self, function: str, binding: Binding) -> tuple[Queues, str]:
        """Return the queues of the binding's connection, and the queue's name.

        Raises:
            HostError: A setting is missing or makes no sense, or the queue's name is not allowed.
        """
        where = f"Function {function}, binding {binding.name}:"
        name = str(binding.fields.get("connection") or DEFAULT_CONNECTION)
        queue = resolve_expressions(str(binding.fields["queueName"]), self._environ, where).lower()
        try:
            check_queue(queue)
        except ValueError as error:
            raise HostError(f"{where} {error}.") from error
        if name not in self._opened:
            try:
                connection = resolve_connection(name, self._environ)
                self._opened[name] = open_queues(connection, self._message_encoding)
            except SettingsError as error:
                hint = " Or run `perdure start --storage embedded`." if name == DEFAULT_CONNECTION else ""
                raise HostError(f"{where} {error}{hint}") from error
        return self._opened[name], queue

    async def close(self) -> None:
        """Give back all connections."""
        for queues in self._opened.values():
            await queues.close()
        self._opened.clear()


async def ensure_queue(queues: Queues, queue: str, connection: str) -> None:
    """Create the queue if it is missing, which proves that the store can be reached.

    Raises:
        HostError: It can't be.
    """
    try:
        await queues.create_queue(queue)
    except StorageError as error:
        raise HostError(
            f"Queue {queue} can't be reached through the connection {connection}: {error} If Azurite should serve "
            "it, start with --storage azurite; --storage embedded needs no server at all."
        ) from error
