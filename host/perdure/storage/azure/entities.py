"""Rows as table entities and back. Columns read well in Storage Explorer; history is binary.

A merge can't remove a property from an entity, so an empty binary stands for None there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from azure.data.tables import EdmType, TableEntity
from msgspec import UNSET

from perdure.storage.azure.keys import from_key, to_key
from perdure.storage.rows import Instance, Row, RowUpdate, instance_of
from perdure.storage.timestamps import time_from_text, time_to_text

Entity = dict[str, Any]

_NONE = b""
_COLUMNS = {
    "kind": "Kind",
    "name": "Name",
    "status": "Status",
    "created_at": "CreatedAt",
    "updated_at": "UpdatedAt",
    "completed_at": "CompletedAt",
    "start_at": "StartAt",
    "input": "Input",
    "output": "Output",
    "custom_status": "CustomStatus",
    "failure": "Failure",
    "reason": "Reason",
    "version": "Version",
    "parent_id": "ParentId",
    "execution_id": "ExecutionId",
    "generation": "Generation",
    "commit": "Commit",
    "deleting": "Deleting",
    "tags": "Tags",
}
_CHANGEABLE = tuple(name for name in _COLUMNS if name in RowUpdate.__struct_fields__)
# a text property takes 32 Ki UTF-16 units
_SEGMENTS_CHARS = 30 * 1024

SELECT = ["PartitionKey", *_COLUMNS.values()]
"""The properties that `to_instance` needs."""


def from_row(row: Row) -> Entity:
    """Return the whole entity of `row`."""
    entity: Entity = {"PartitionKey": to_key(row.instance.instance_id), "RowKey": ""}
    for name, column in _COLUMNS.items():
        value = getattr(row.instance, name)
        if value is not None and value != {}:
            entity[column] = _to_property(value)
    if row.head:
        entity["Head"] = row.head
    names = " ".join(row.segments)
    for part, start in enumerate(range(0, len(names), _SEGMENTS_CHARS)):
        entity[f"Segments{part}"] = names[start : start + _SEGMENTS_CHARS]
    for place, turn in enumerate(row.tail):
        entity[_turn_property(place)] = turn
    return entity


def from_update(instance_id: str, update: RowUpdate) -> Entity:
    """Return what is to be merged into the instance's entity."""
    entity: Entity = {"PartitionKey": to_key(instance_id), "RowKey": ""}
    for name in _CHANGEABLE:
        value = getattr(update, name)
        if value is not UNSET:
            entity[_COLUMNS[name]] = _NONE if value is None else _to_property(value)
    if update.turn is not None:
        entity[_turn_property(update.tail_index)] = update.turn
    return entity


def to_row(entity: TableEntity) -> Row:
    parts = sorted((int(name[8:]), text) for name, text in entity.items() if name.startswith("Segments"))
    names = "".join(text for _, text in parts)
    turns = sorted(name for name in entity if name[0] == "T" and name[1:].isdigit())
    return Row(
        instance=to_instance(entity),
        head=entity.get("Head", b""),
        segments=names.split(" ") if names else [],
        tail=[entity[name] for name in turns],
        etag=str(entity.metadata["etag"]),
    )


def to_instance(entity: Mapping[str, Any]) -> Instance:
    instance_id = from_key(entity["PartitionKey"])

    def read() -> Entity:
        values: Entity = {"instance_id": instance_id}
        for name, column in _COLUMNS.items():
            value = entity.get(column)
            if value is not None and value != _NONE:
                values[name] = _from_property(name, value)
        return values

    return instance_of(instance_id, read)


def time_property(time: datetime) -> tuple[str, EdmType]:
    """Return `time` as a property: as text, since the SDK itself writes and reads times in several ways."""
    return time_to_text(time), EdmType.DATETIME


def _turn_property(place: int) -> str:
    return f"T{place:04}"


def _to_property(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_property(value)
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return value


def _from_property(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        # the SDK's own datetime, which keeps the text it was read from
        return time_from_text(value.tables_service_value)  # type: ignore[attr-defined]
    if name == "tags":
        return msgspec.json.decode(value, type=dict[str, str])
    return value
