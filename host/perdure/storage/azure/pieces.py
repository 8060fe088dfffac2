"""Segments in the table `{Hub}History`, payloads and very large segments in the container `{hub}-payloads`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.data.tables import UpdateMode
from azure.storage.blob import ContentSettings

from perdure.storage.azure.account import RETRY_ANY_METHOD, Account
from perdure.storage.azure.errors import error_code, translated
from perdure.storage.azure.keys import from_folder, to_folder, to_key
from perdure.storage.compression import pack, unpack
from perdure.storage.continuation import read_continuation, write_continuation
from perdure.storage.limits import check_part, check_payload_page, check_prefix
from perdure.storage.protocol import PayloadMissing
from perdure.storage.rows import PayloadPage

S = TypeVar("S")
T = TypeVar("T")

_CHUNK_BYTES = 60 * 1024
_MAX_ROW_BYTES = 700 * 1024
"""Of a segment that is kept in its table row: Azure takes 1 MiB in all, Azurite counts it in base64."""
_SEGMENT_SUFFIX = ".segment"
"""Tells a segment's blob from payloads, whose names have no dot."""
_AT_ONCE = 8
_IS_THERE = ("BlobAlreadyExists", "ConditionNotMet")
"""How the service refuses to overwrite a blob; the second one where it came while a large one was on its way."""


class AzurePieces:
    """`Segments` and `Payloads` of a hub."""

    def __init__(self, account: Account, hub: str) -> None:
        self._account = account
        self._origin = f"azure-payloads:{hub.lower()}"
        self._history = account.table(f"{hub}History")
        self._container = account.container(f"{hub.lower()}-payloads")

    async def put_segment(self, instance_id: str, name: str, data: bytes) -> None:
        check_part(name)
        entity: dict[str, Any] = {"PartitionKey": to_key(instance_id), "RowKey": name, "Bytes": len(data)}
        if len(data) <= _MAX_ROW_BYTES:
            for place, start in enumerate(range(0, len(data), _CHUNK_BYTES)):
                entity[f"D{place:02}"] = data[start : start + _CHUNK_BYTES]
        else:
            # the blob first: a row that is there can be read
            entity["Blob"] = _blob_name(instance_id, name + _SEGMENT_SUFFIX)
            await self._upload(entity["Blob"], data)
        with translated(self._account, "table"):
            await self._history.upsert_entity(entity, UpdateMode.REPLACE, **RETRY_ANY_METHOD)

    async def get_segments(self, instance_id: str, names: list[str]) -> list[bytes]:
        return await _each(names, lambda name: self._get_segment(instance_id, name))

    async def list_segments(self, instance_id: str) -> list[str]:
        return sorted(await self._segments(instance_id))

    async def delete_segments(self, instance_id: str, names: list[str]) -> None:
        if not names:
            return
        stored = await self._segments(instance_id)
        stored = {name: blob for name, blob in stored.items() if name in names}
        # rows last: one that is left tells the next attempt of its blob
        await _each([blob for blob in stored.values() if blob is not None], self._delete_blob)
        key = to_key(instance_id)
        with translated(self._account, "table"):
            await _each(list(stored), lambda name: self._history.delete_entity(key, name, **RETRY_ANY_METHOD))

    async def put_payload(self, instance_id: str, payload_id: str, data: bytes) -> None:
        check_part(payload_id)
        await self._upload(_blob_name(instance_id, payload_id), data)

    async def add_payload(self, instance_id: str, payload_id: str, data: bytes) -> bool:
        check_part(payload_id)
        return await self._upload(_blob_name(instance_id, payload_id), data, overwrite=False)

    async def get_payload(self, instance_id: str, payload_id: str) -> bytes:
        data = await self._download(_blob_name(instance_id, payload_id), f"payload {payload_id!r} of {instance_id!r}")
        if data is None:
            raise _missing("payload", payload_id, instance_id)
        return data

    async def list_payloads(self, instance_id: str, prefix: str = "") -> list[str]:
        check_prefix(prefix)
        folder = _blob_name(instance_id, "")
        with translated(self._account, "blob"):
            names = [name async for name in self._container.list_blob_names(name_starts_with=folder + prefix)]
        return sorted(name.removeprefix(folder) for name in names if not name.endswith(_SEGMENT_SUFFIX))

    async def list_all_payloads(self, *, top: int = 5_000, continuation: str | None = None) -> PayloadPage:
        check_payload_page(top)
        token = None if continuation is None else read_continuation(self._origin, continuation)[0]
        pages: Any = self._container.list_blob_names(results_per_page=top).by_page(continuation_token=token)
        names: list[str] = []
        with translated(self._account, "blob"):
            async for names_of_page in pages:
                names = [name async for name in names_of_page]
                break
        found = [name.split("/", 1) for name in names if not name.endswith(_SEGMENT_SUFFIX)]
        page = PayloadPage(payloads=[(from_folder(folder), payload_id) for folder, payload_id in found])
        if pages.continuation_token:
            page.continuation = write_continuation(self._origin, [pages.continuation_token])
        return page

    async def delete_payloads(self, instance_id: str, payload_ids: list[str]) -> None:
        await _each([_blob_name(instance_id, payload_id) for payload_id in payload_ids], self._delete_blob)

    async def _get_segment(self, instance_id: str, name: str) -> bytes:
        with translated(self._account, "table"):
            try:
                entity = await self._history.get_entity(to_key(instance_id), name, **RETRY_ANY_METHOD)
            except ResourceNotFoundError as error:
                if error_code(error) == "TableNotFound":
                    raise
                raise _missing("segment", name, instance_id) from error
        if "Blob" not in entity:
            return b"".join(entity[chunk] for chunk in sorted(entity) if chunk[0] == "D")
        data = await self._download(entity["Blob"], f"segment {name!r} of {instance_id!r}")
        if data is None:
            raise _missing("segment", name, instance_id)
        return data

    async def _segments(self, instance_id: str) -> dict[str, str | None]:
        """Return the names of the stored segments, with the blob's name where there is one."""
        entities = self._history.query_entities(
            f"PartitionKey eq '{to_key(instance_id)}'", select=["RowKey", "Blob"], **RETRY_ANY_METHOD
        )
        with translated(self._account, "table"):
            return {entity["RowKey"]: entity.get("Blob") async for entity in entities}

    async def _upload(self, name: str, data: bytes, *, overwrite: bool = True) -> bool:
        """Store a blob; False if there is one that must not be overwritten."""
        packed, gzip = await pack(data)
        settings = ContentSettings(content_type="application/octet-stream", content_encoding="gzip" if gzip else None)
        with translated(self._account, "blob"):
            try:
                await self._container.upload_blob(
                    name, packed, length=len(packed), overwrite=overwrite, content_settings=settings, max_concurrency=4
                )
            except HttpResponseError as error:
                if overwrite or error_code(error) not in _IS_THERE:
                    raise
                return False
            return True

    async def _download(self, name: str, what: str) -> bytes | None:
        with translated(self._account, "blob"):
            try:
                # decompressing, the SDK takes a part for the whole: it does not look for the end of what it gets
                blob = await self._container.download_blob(name, decompress=False)
                data = bytes(await blob.readall())
            except ResourceNotFoundError as error:
                if error_code(error) == "ContainerNotFound":
                    raise
                return None
        encoding = blob.properties.content_settings.content_encoding
        return await unpack(data, what) if encoding == "gzip" else data

    async def _delete_blob(self, name: str) -> None:
        with translated(self._account, "blob"):
            try:
                await self._container.delete_blob(name)
            except ResourceNotFoundError as error:
                if error_code(error) == "ContainerNotFound":
                    raise


async def _each(items: Sequence[S], call: Callable[[S], Awaitable[T]]) -> list[T]:
    """Call for each item, a few at a time; return what the calls return, in order."""
    results: list[T] = []
    for start in range(0, len(items), _AT_ONCE):
        results += await asyncio.gather(*(call(item) for item in items[start : start + _AT_ONCE]))
    return results


def _blob_name(instance_id: str, name: str) -> str:
    return f"{to_folder(instance_id)}/{name}"


def _missing(sort: str, name: str, instance_id: str) -> PayloadMissing:
    return PayloadMissing(f"The {sort} {name!r} of {instance_id!r} does not exist: was the instance purged?")
