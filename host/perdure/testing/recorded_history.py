"""Recorded histories: what is stored of an instance's present generation, in a file.

The file is JSON (UTF-8), an object with these members:

    format           "perdure-history"
    format_version   1; a reader refuses newer ones
    recorded_at      when it was recorded (ISO 8601, UTC)
    hub              the task hub's name
    instance         the columns of the instance's row, under the names of `perdure.storage.rows.Instance`
    parent           null, or who waits for it: [instance id, execution, action number]
    began_suspended  whether the generation before was suspended when it ended
    waiting_events   the events that the generation before left unconsumed
    carried          records of earlier generations' turns: what they consumed and may still have to send
    turns            the generation's turns, oldest first: arrays of the fields of `perdure.core.history.Turn`; in them
                     each event and action is an array of its kind and its fields
    payloads         the texts of the payloads that the above refers to ("@" and an id), by id

It holds the instance's data in clear: inputs, results and the data of events.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from perdure.client import Client
from perdure.core.actions import ContinuedAsNew, OrchestrationCompleted, TaskScheduled
from perdure.core.entity_id import is_entity_id
from perdure.core.history import EventRaised, Turn
from perdure.core.naming import check_instance_id
from perdure.core.state import Parent
from perdure.engine.clock import SystemClock, new_id
from perdure.engine.executor import datum_of
from perdure.engine.journal import Journal
from perdure.engine.payloads import PayloadDesk
from perdure.engine.settings import EngineSettings
from perdure.errors import DataError, InstanceNotFoundError
from perdure.storage.protocol import PayloadMissing, Storage
from perdure.storage.rows import Instance

FORMAT_VERSION = 1


class RecordedHistory(msgspec.Struct, frozen=True, kw_only=True):
    """The history of an instance's present generation, with everything that its replay needs."""

    format: Literal["perdure-history"] = "perdure-history"
    format_version: int = FORMAT_VERSION
    recorded_at: datetime
    hub: str
    instance: Instance
    parent: Parent | None = None
    began_suspended: bool = False
    waiting_events: list[EventRaised] = []
    carried: list[Turn] = []
    turns: list[Turn]
    payloads: dict[str, str] = {}

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file that `save` wrote.

        Raises:
            OSError: there is no such file, or it can't be read.
            DataError: it is no recorded history, or one of a newer Perdure.
        """
        return cls.from_json(Path(path).read_bytes(), f"{path}")

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "this text") -> Self:
        """Read what `to_json` wrote.

        Args:
            text: the JSON.
            source: where it comes from, for errors.

        Raises:
            DataError: as `load`.
        """
        try:
            envelope = msgspec.json.decode(text, type=_Envelope)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise DataError(f"{source} is no recorded history: {error}") from error
        if envelope.format_version > FORMAT_VERSION:
            raise DataError(
                f"{source} was recorded by a newer Perdure (format {envelope.format_version}, this one reads "
                f"{FORMAT_VERSION}): upgrade Perdure here"
            )
        try:
            return msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise DataError(f"{source} can't be read as a recorded history: {error}") from error

    def save(self, path: str | Path) -> None:
        """Write it to a file; one that is there is overwritten. Raises OSError."""
        Path(path).write_text(self.to_json() + "\n", encoding="utf-8")

    def to_json(self) -> str:
        """Return it as JSON, indented."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1).decode()


class _Envelope(msgspec.Struct):
    format: Literal["perdure-history"]
    format_version: int


async def record_history(source: Client | Storage, instance_id: str) -> RecordedHistory:
    """Return what is stored of an instance now. Nothing is changed.

    Args:
        source: a client of the instance's hub, or the hub's storage.
        instance_id: the instance.

    Raises:
        InstanceNotFoundError: there is no such instance.
        DataError: what is stored can't be read.
        StorageUnavailable: the store can't be reached.
    """
    storage: Storage = source.storage if isinstance(source, Client) else source
    if is_entity_id(check_instance_id(instance_id)):
        raise InstanceNotFoundError(
            f"there is no instance '{instance_id}' in task hub '{storage.hub}': this is the id of an entity, and "
            f"entities have no history"
        )
    desk = PayloadDesk(storage, new_id, SystemClock())
    commit: str | None = None
    while True:
        journal = Journal(storage, instance_id, EngineSettings())
        await journal.load()
        if journal.row is None:
            raise InstanceNotFoundError(
                f"there is no instance '{instance_id}' in task hub '{storage.hub}': look at the id; or it has been "
                f"purged"
            )
        try:
            payloads = await desk.fetch(instance_id, _data_of(journal))
        except PayloadMissing:
            if journal.instance.commit == commit:
                raise
            commit = journal.instance.commit  # it may have moved on meanwhile
        else:
            return _recorded(storage.hub, journal, payloads)


def _recorded(hub: str, journal: Journal, payloads: dict[str, str]) -> RecordedHistory:
    state = journal.state
    return RecordedHistory(
        recorded_at=datetime.now(UTC),
        hub=hub,
        instance=journal.instance,
        parent=journal.sender.parent,
        began_suspended=state.began_suspended,
        waiting_events=state.waiting_events,
        carried=state.carried,
        turns=state.turns,
        payloads=payloads,
    )


def _data_of(journal: Journal) -> list[str | None]:
    """Return the data of the instance's own. Inputs of children and data of sent events belong to their receivers."""
    instance, state = journal.instance, journal.state
    data = [instance.input, instance.output, instance.custom_status]
    data += [event.data for event in state.waiting_events]
    for turn in state.turns:
        data += [datum_of(event) for event in turn.events]
        data += [_own_datum(action) for action in turn.actions]
    return data


def _own_datum(action: Any) -> str | None:
    match action:
        case TaskScheduled() | ContinuedAsNew():
            return action.input
        case OrchestrationCompleted():
            return action.output
        case _:
            return None
