"""Instances' rows in the table `{Hub}Instances`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import DecodeError

from perdure.storage.azure.account import RETRY_ANY_METHOD, Account
from perdure.storage.azure.entities import SELECT, Entity, decode, encode, from_row, from_update, to_instance, to_row
from perdure.storage.azure.errors import translated
from perdure.storage.azure.keys import key_range, to_key
from perdure.storage.azure.signing import Request
from perdure.storage.azure.transport import Answer
from perdure.storage.azure.wire import Refusal, Wire
from perdure.storage.continuation import read_continuation, write_continuation
from perdure.storage.limits import MIN_YEAR, check_query, check_row, check_update
from perdure.storage.protocol import Conflict
from perdure.storage.rows import Instance, InstanceQuery, Page, Row, RowUpdate, readable
from perdure.storage.timestamps import time_to_text

_MOST_STATUSES = 7
"""Azure takes 15 comparisons in a filter, of which a query needs up to 8 besides the statuses."""
_COLUMNS = {"created_at": "CreatedAt", "updated_at": "UpdatedAt"}
_NOT_FOUND, _CHANGED = 404, 412
_ONLY_COLUMNS = {"$select": ",".join(SELECT)}
_READING = {
    "Accept": "application/json;odata=minimalmetadata",
    "DataServiceVersion": "3.0",
    "x-ms-version": "2019-02-02",
}
_WRITING = {**_READING, "Content-Type": "application/json"}
_INSERTING = {**_WRITING, "Prefer": "return-no-content"}


class AzureRows:
    """`Rows` of a hub."""

    def __init__(self, account: Account, hub: str) -> None:
        self._account = account
        self._origin = f"azure:{account.connection.account}:{hub.lower()}"
        self._table = account.table(f"{hub}Instances")
        self._tables = Wire(account, "table")
        self._table_url = f"{self._tables.url}/{hub}Instances"

    async def insert(self, row: Row) -> str:
        check_row(row)
        with translated(self._account, "table"):
            try:
                answer = await self._tables.ask(Request("POST", self._table_url, {}, _INSERTING, encode(from_row(row))))
            except Refusal as refusal:
                if refusal.error_code != "EntityAlreadyExists":
                    raise
                raise Conflict(f"The instance {row.instance.instance_id!r} exists already.") from refusal
            return _etag(answer)

    async def read(self, instance_id: str) -> Row | None:
        answer = await self._get(instance_id, {})
        if answer is None:
            return None
        with translated(self._account, "table"):
            entity, etag = decode(answer.body), _etag(answer)
        return to_row(entity, etag)

    async def read_instance(self, instance_id: str) -> Instance | None:
        answer = await self._get(instance_id, _ONLY_COLUMNS)
        if answer is None:
            return None
        with translated(self._account, "table"):
            entity = decode(answer.body)
        return to_instance(entity)

    async def merge(self, instance_id: str, etag: str, update: RowUpdate) -> str:
        check_update(instance_id, update)
        return await self._write("PATCH", instance_id, etag, from_update(instance_id, update))

    async def replace(self, row: Row) -> str:
        check_row(row)
        return await self._write("PUT", row.instance.instance_id, row.etag, from_row(row))

    async def delete(self, instance_id: str, etag: str) -> None:
        with translated(self._account, "table"):
            try:
                await self._tables.ask(Request("DELETE", self._url(instance_id), {}, {**_READING, "If-Match": etag}))
            except Refusal as refusal:
                if refusal.status_code == _NOT_FOUND:
                    return
                if refusal.status_code != _CHANGED:
                    raise
                raise _changed(instance_id) from refusal

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

    async def _get(self, instance_id: str, query: Mapping[str, str]) -> Answer | None:
        with translated(self._account, "table"):
            try:
                return await self._tables.ask(Request("GET", self._url(instance_id), query, _READING))
            except Refusal as refusal:
                if refusal.status_code != _NOT_FOUND or refusal.error_code == "TableNotFound":
                    raise
                return None

    async def _write(self, method: str, instance_id: str, etag: str, entity: Entity) -> str:
        request = Request(method, self._url(instance_id), {}, {**_WRITING, "If-Match": etag}, encode(entity))
        with translated(self._account, "table"):
            try:
                answer = await self._tables.ask(request)
            except Refusal as refusal:
                if refusal.status_code == _CHANGED or refusal.error_code in ("ResourceNotFound", "EntityNotFound"):
                    raise _changed(instance_id) from refusal
                raise
            return _etag(answer)

    def _url(self, instance_id: str) -> str:
        key = quote(to_key(instance_id), safe="")  # a key has no quotation mark
        return f"{self._table_url}(PartitionKey='{key}',RowKey='')"


async def _first(pages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for page in pages:
        yield page
        return


def _etag(answer: Answer) -> str:
    try:
        return answer.headers["ETag"]
    except KeyError:
        raise DecodeError("it names no ETag") from None


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
