"""What every provider refuses, so that what works on a laptop also fits into Azure Storage.

Azure's limits: a table row takes 1 MiB and 252 properties, a property 64 KiB; a queue message lives in a queue
named by its own rule and can be hidden for 7 days at most.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import get_args

import msgspec
from msgspec import UNSET

from perdure.core.naming import check_text
from perdure.errors import SettingsError
from perdure.storage.rows import InstanceQuery, Kind, Row, RowUpdate

MAX_INSTANCE_ID_CHARS = 256
MAX_ENTRY_BYTES = 60 * 1024
"""Largest tail entry and largest head."""
MAX_TEXT_CHARS = 30 * 1024
"""Longest input, output, custom status, failure, reason and tags (as JSON)."""
MAX_TAIL_ENTRIES = 220
MAX_ROW_BYTES = 1000 * 1024
"""Of a whole row, as Azure counts (two bytes a character) and as Azurite does (the request: base64 and text)."""
MIN_YEAR = 1601
"""First year of Azure Tables' times."""
MAX_VISIBILITY_SECONDS = 7 * 24 * 3600
MAX_RECEIVE = 32
MAX_PAGE = 1000
MAX_PAYLOAD_PAGE = 5000
"""What Azure lists at once of blobs."""

_HUB = re.compile(r"[A-Za-z][A-Za-z0-9]{0,44}")
_QUEUE = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*")
_PART = re.compile(r"[0-9A-Za-z-]{1,128}")
_TEXT_COLUMNS = ("input", "output", "custom_status", "failure", "reason", "parent_id", "name", "version")


def check_hub(hub: str) -> None:
    """Raise `SettingsError` unless `hub` can name tables, a container and queues (1 to 45 letters and digits)."""
    if not isinstance(hub, str) or not _HUB.fullmatch(hub):
        raise SettingsError(
            f"The task hub name {hub!r} can't be used: use 1 to 45 letters and digits, beginning with a letter "
            "(hubName in host.json)."
        )


def check_queue(queue: str) -> None:
    """Raise ValueError unless `queue` follows Azure's rule for queue names."""
    if not _QUEUE.fullmatch(queue):
        raise ValueError(
            f"{queue!r} is no queue name: use 3 to 63 lower-case letters, digits and single hyphens between them"
        )


def check_part(name: str) -> None:
    """Raise ValueError unless `name` can name a segment or a payload (`[0-9A-Za-z-]`, 1 to 128)."""
    if not _PART.fullmatch(name):
        raise ValueError(f"{name!r} can't name a segment or a payload: use 1 to 128 of 0-9, A-Z, a-z and '-'")


def check_prefix(prefix: str) -> None:
    """Raise ValueError unless `prefix` is empty, or what the name of a payload can begin with."""
    if prefix:
        check_part(prefix)


def check_row(row: Row) -> None:
    """Raise ValueError for a row that does not fit into one Azure table row."""
    instance = row.instance
    _check_instance_id(instance.instance_id)
    texts = [getattr(instance, column) or "" for column in _TEXT_COLUMNS]
    for column, text in zip(_TEXT_COLUMNS, texts, strict=True):
        _check_text(instance.instance_id, column, text)
    for column in ("created_at", "updated_at", "completed_at", "start_at"):
        _check_time(instance.instance_id, column, getattr(instance, column))
    tags = msgspec.json.encode(instance.tags).decode()
    _check_text(instance.instance_id, "tags", tags)
    if len(row.tail) > MAX_TAIL_ENTRIES:
        raise ValueError(f"the row of {instance.instance_id!r} has more than {MAX_TAIL_ENTRIES} tail entries")
    for entry in (row.head, *row.tail):
        _check_entry(instance.instance_id, entry)
    characters = sum(map(len, texts)) + len(tags) + sum(len(name) + 1 for name in row.segments)
    binary = len(row.head) + sum(map(len, row.tail))
    size = max(binary + 2 * characters, binary * 4 // 3 + characters)
    if size > MAX_ROW_BYTES:
        raise ValueError(f"the row of {instance.instance_id!r} has {size} bytes, more than {MAX_ROW_BYTES}")


def check_update(instance_id: str, update: RowUpdate) -> None:
    """Raise ValueError for a change that does not fit into one Azure table row."""
    for column in ("output", "custom_status", "failure", "reason", "version"):
        value = getattr(update, column)
        if value is not UNSET and value is not None:
            _check_text(instance_id, column, value)
    _check_time(instance_id, "updated_at", update.updated_at)
    if update.completed_at is not UNSET:
        _check_time(instance_id, "completed_at", update.completed_at)
    if update.turn is not None:
        _check_entry(instance_id, update.turn)
        if not 0 <= update.tail_index < MAX_TAIL_ENTRIES:
            raise ValueError(f"{instance_id!r} has no place for a tail entry {update.tail_index}")


def check_delay(delay: float) -> None:
    """Raise ValueError unless a message may be hidden for `delay` seconds."""
    if not 0 <= delay <= MAX_VISIBILITY_SECONDS:
        raise ValueError(f"a message can be hidden for 0 to {MAX_VISIBILITY_SECONDS} seconds, not {delay}")


def check_receive(count: int, invisibility: float) -> None:
    """Raise ValueError unless `count` messages may be received at once and hidden for `invisibility` seconds."""
    if not 1 <= count <= MAX_RECEIVE:
        raise ValueError(f"1 to {MAX_RECEIVE} messages can be received at once, not {count}")
    check_delay(invisibility)


def check_body(body: str, limit: int) -> None:
    """Raise ValueError for a message body of more than `limit` bytes of UTF-8."""
    size = len(body) if body.isascii() else len(body.encode())
    if size > limit:
        raise ValueError(f"the message has {size} bytes, more than the {limit} that the queue takes")


def check_query(query: InstanceQuery, top: int) -> None:
    """Raise ValueError unless a page may hold `top` rows, the times in `query` have a zone, and its texts can be those
    of a row. Raises TypeError for what is no query, no number or no text at all.
    """
    if not isinstance(query, InstanceQuery):
        raise TypeError(f"a query is an InstanceQuery, not {type(query).__name__}")
    if not isinstance(top, int) or isinstance(top, bool):
        raise TypeError(f"a page has 1 to {MAX_PAGE} rows, not {top!r}")
    if not 1 <= top <= MAX_PAGE:
        raise ValueError(f"a page has 1 to {MAX_PAGE} rows, not {top}")
    if query.kind not in get_args(Kind):
        raise ValueError(f"a query's kind is one of {', '.join(get_args(Kind))}, not {query.kind!r}")
    check_text(query.id_prefix, "the prefix of instance ids", MAX_INSTANCE_ID_CHARS)
    for _, _, time in query.bounds:
        if time.tzinfo is None:
            raise ValueError(f"{time!r} has no time zone: give an aware time")


def check_payload_page(top: int) -> None:
    """Raise ValueError unless a page may hold `top` payloads."""
    if not 1 <= top <= MAX_PAYLOAD_PAGE:
        raise ValueError(f"a page has 1 to {MAX_PAYLOAD_PAGE} payloads, not {top}")


def _check_instance_id(instance_id: str) -> None:
    if not 1 <= len(instance_id) <= MAX_INSTANCE_ID_CHARS:
        raise ValueError(f"an instance id has 1 to {MAX_INSTANCE_ID_CHARS} characters: {instance_id!r}")
    if any("\ud800" <= character <= "\udfff" for character in instance_id):
        raise ValueError(f"the instance id {instance_id!r} has half a surrogate pair: it is no valid Unicode")


def _check_text(instance_id: str, column: str, text: str) -> None:
    # Azure counts UTF-16 units
    size = len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
    if size > MAX_TEXT_CHARS:
        raise ValueError(f"{column} of {instance_id!r} has {size} characters, more than {MAX_TEXT_CHARS}")


def _check_time(instance_id: str, column: str, time: datetime | None) -> None:
    if time is not None and (time.utcoffset() != timedelta(0) or time.year < MIN_YEAR):
        raise ValueError(f"{column} of {instance_id!r} is not in UTC, or before {MIN_YEAR}: {time}")


def _check_entry(instance_id: str, entry: bytes) -> None:
    if len(entry) > MAX_ENTRY_BYTES:
        raise ValueError(f"an entry of {instance_id!r} has {len(entry)} bytes, more than {MAX_ENTRY_BYTES}")
