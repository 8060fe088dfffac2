"""Instances' rows in the table `{Hub}Instances`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import UpdateMode

from perdure.storage.azure.account import RETRY_ANY_METHOD, Account
from perdure.storage.azure.entities import SELECT, Entity, from_row, from_update, to_instance, to_row
from perdure.storage.azure.errors import error_code, translated
from perdure.storage.azure.keys import key_range, to_key
from perdure.storage.continuation import read_continuation, write_continuation
from perdure.storage.limits import MIN_YEAR, check_query, check_row, check_update
from perdure.storage.protocol import Conflict
from perdure.storage.rows import Instance, InstanceQuery, Page, Row, RowUpdate, readable
from perdure.storage.timestamps import time_to_text

_MOST_STATUSES = 7
"""Azure takes 15 comparisons in a filter, of which a query needs up to 8 besides the statuses."""
_COLUMNS = {"created_at": "CreatedAt", "updated_at": "UpdatedAt"}


class AzureRows:
    """`Rows` of a hub."""

    def __init__(self, account: Account, hub: str) -> None:
        self._account = account
        self._origin = f"azure:{account.connection.account}:{hub.lower()}"
        self._table = account.table(f"{hub}Instances")

    async def insert(self, row: Row) -> str:
        check_row(row)
        with translated(self._account, "table"):
            try:
                answer = await self._table.create_entity(
                    from_row(row), response_preference="return-no-content", **RETRY_ANY_METHOD
                )
            except ResourceExistsError as error:
                if error_code(error) != "EntityAlreadyExists":
                    raise
                raise Conflict(f"The instance {row.instance.instance_id!r} exists already.") from error
        return str(answer["etag"])

    async def read(self, instance_id: str) -> Row | None:
        entity = await self._get(instance_id)
        return None if entity is None else to_row(entity)

    async def read_instance(self, instance_id: str) -> Instance | None:
        entity = await self._get(instance_id, select=SELECT)
        return None if entity is None else to_instance(entity)

    async def merge(self, instance_id: str, etag: str, update: RowUpdate) -> str:
        check_update(instance_id, update)
        return await self._write(instance_id, etag, from_update(instance_id, update), UpdateMode.MERGE)

    async def replace(self, row: Row) -> str:
        check_row(row)
        return await self._write(row.instance.instance_id, row.etag, from_row(row), UpdateMode.REPLACE)

    async def delete(self, instance_id: str, etag: str) -> None:
        with translated(self._account, "table"):
            try:
                await self._table.delete_entity(
                    to_key(instance_id),
                    "",
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                    **RETRY_ANY_METHOD,
                )
            except ResourceModifiedError as error:
                raise _changed(instance_id) from error

    async def query(self, query: InstanceQuery, *, top: int = 100, continuation: str | None = None) -> Page:
        check_query(query, top)
        position: dict[str, str | None] | None = None
        if continuation is not None:
            partition, row = read_continuation(self._origin, continuation, parts=2)
            position = {"PartitionKey": partition, "RowKey": row or None}
        pages = self._table.query_entities(
            _filter(query), select=SELECT, results_per_page=top, **RETRY_ANY_METHOD
        ).by_page(continuation_token=position)  # type: ignore[arg-type]
        with translated(self._account, "table"):
            found = readable([entity async for page in _first(pages) async for entity in page], to_instance)
        following: Any = pages.continuation_token  # type: ignore[attr-defined]
        token = None
        if following:
            token = write_continuation(self._origin, [following["PartitionKey"], following["RowKey"] or ""])
        # the filter's bounds may let through more than the query asks for
        return Page(instances=[instance for instance in found if query.matches(instance)], continuation=token)

    async def _get(self, instance_id: str, select: list[str] | None = None) -> Any:
        with translated(self._account, "table"):
            try:
                return await self._table.get_entity(to_key(instance_id), "", select=select, **RETRY_ANY_METHOD)
            except ResourceNotFoundError as error:
                if error_code(error) == "TableNotFound":
                    raise
                return None

    async def _write(self, instance_id: str, etag: str, entity: Entity, mode: UpdateMode) -> str:
        with translated(self._account, "table"):
            try:
                answer = await self._table.update_entity(
                    entity,
                    mode,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                    **RETRY_ANY_METHOD,
                )
            except HttpResponseError as error:
                if isinstance(error, ResourceModifiedError) or error_code(error) in (
                    "ResourceNotFound",
                    "EntityNotFound",
                ):
                    raise _changed(instance_id) from error
                raise
        return str(answer["etag"])


async def _first(pages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for page in pages:
        yield page
        return


def _changed(instance_id: str) -> Conflict:
    return Conflict(f"The instance {instance_id!r} was changed or deleted by somebody else.")


def _filter(query: InstanceQuery) -> str:
    conditions = [f"Kind eq '{_quoted(query.kind)}'", "Deleting eq false"]
    if query.id_prefix:
        first, end = key_range(query.id_prefix)
        conditions.append(f"PartitionKey ge '{first}'")
        if end is not None:
            conditions.append(f"PartitionKey lt '{_quoted(end)}'")
    if 0 < len(query.statuses) <= _MOST_STATUSES:
        statuses = " or ".join(f"Status eq '{_quoted(status)}'" for status in query.statuses)
        conditions.append(f"({statuses})")
    for column, comparison, time in query.bounds:
        if time.year >= MIN_YEAR:
            conditions.append(f"{_COLUMNS[column]} {comparison} datetime'{time_to_text(time)}'")
    return " and ".join(conditions)


def _quoted(text: str) -> str:
    return text.replace("'", "''")
