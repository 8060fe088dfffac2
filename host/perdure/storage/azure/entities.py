"""Rows as table entities and back. Columns read well in Storage Explorer; history is binary.

A merge can't remove a property from an entity, so an empty binary stands for None there.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from azure.core.exceptions import DecodeError
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

_TYPE = "@odata.type"
_TIMES = ("created_at", "updated_at", "completed_at", "start_at")

SELECT = ["PartitionKey", *_COLUMNS.values()]
"""The properties that `to_instance` needs."""


def encode(entity: Entity) -> bytes:
    """Write an entity as the service reads it: JSON, with the types that JSON does not have beside the values."""
    properties: Entity = {}
    for name, value in entity.items():
        if isinstance(value, bytes):
            properties[name] = base64.b64encode(value).decode()
            properties[name + _TYPE] = "Edm.Binary"
        elif isinstance(value, datetime):
            properties[name] = time_to_text(value)
            properties[name + _TYPE] = "Edm.DateTime"
        else:
            properties[name] = value
    return msgspec.json.encode(properties)


def decode(text: bytes) -> Entity:
    """Read an entity as the service writes it. Times stay the texts that they are.

    Raises:
        DecodeError: it is none.
    """
    try:
        properties = msgspec.json.decode(text, type=dict[str, Any])
        for name in [name for name in properties if name.endswith(_TYPE)]:
            if properties.pop(name) == "Edm.Binary":
                value = name.removesuffix(_TYPE)
                properties[value] = base64.b64decode(properties[value], validate=True)
    except (msgspec.MsgspecError, binascii.Error, KeyError, TypeError, ValueError) as error:
        raise DecodeError(f"its entity can't be read: {error}") from error
    return properties


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


def to_row(entity: Entity, etag: str) -> Row:
    parts = sorted((int(name[8:]), text) for name, text in entity.items() if name.startswith("Segments"))
    names = "".join(text for _, text in parts)
    turns = sorted(name for name in entity if name[0] == "T" and name[1:].isdigit())
    return Row(
        instance=to_instance(entity),
        head=entity.get("Head", b""),
        segments=names.split(" ") if names else [],
        tail=[entity[name] for name in turns],
        etag=etag,
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


def _turn_property(place: int) -> str:
    return f"T{place:04}"


def _to_property(value: Any) -> Any:
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return value


def _from_property(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        # the SDK's own datetime, which keeps the text it was read from
        return time_from_text(value.tables_service_value)  # type: ignore[attr-defined]
    if name in _TIMES:
        return time_from_text(value)
    if name == "tags":
        return msgspec.json.decode(value, type=dict[str, str])
    return value
