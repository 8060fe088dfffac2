"""A task hub in an Azure Storage account: tables `{Hub}Instances` and `{Hub}History`, container `{hub}-payloads`."""

from __future__ import annotations

import asyncio

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables.aio import TableClient

from perdure.storage.azure.account import Account
from perdure.storage.azure.errors import error_code, translated
from perdure.storage.azure.pieces import AzurePieces
from perdure.storage.azure.queues import AccountQueues
from perdure.storage.azure.rows import AzureRows
from perdure.storage.azure.transport import Observer, Transport
from perdure.storage.connection import AzureConnection
from perdure.storage.limits import check_hub


class AzureStorage(AzureRows, AzurePieces, AccountQueues):
    """`Storage` for one hub, to be used in one event loop.

    `observer` is told of every HTTP request (see `Observer`); `transport` replaces the HTTP transport, for tests.
    """

    def __init__(
        self,
        connection: AzureConnection,
        hub: str,
        *,
        observer: Observer | None = None,
        transport: Transport | None = None,
    ) -> None:
        check_hub(hub)
        self.hub = hub
        account = Account(connection, observer=observer, transport=transport)
        AzureRows.__init__(self, account, hub)
        AzurePieces.__init__(self, account, hub)
        AccountQueues.__init__(self, account, "base64")

    async def create(self) -> None:
        await asyncio.gather(
            self._create_table(self._table), self._create_table(self._history), self._create_container()
        )

    async def destroy(self) -> None:
        with translated(self._account, "table"):
            await asyncio.gather(self._table.delete_table(), self._history.delete_table())
        with translated(self._account, "blob"):
            try:
                await self._container.delete_container()
            except ResourceNotFoundError:
                return

    async def _create_table(self, table: TableClient) -> None:
        with translated(self._account, "table"):
            try:
                await table.create_table()
            except ResourceExistsError as error:
                if error_code(error) != "TableAlreadyExists":
                    raise

    async def _create_container(self) -> None:
        with translated(self._account, "blob"):
            try:
                await self._container.create_container()
            except ResourceExistsError as error:
                if error_code(error) != "ContainerAlreadyExists":
                    raise
