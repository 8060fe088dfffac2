"""The journal of one instance: its row and the state folded from it, and how a commit changes both.

A commit is one conditional write of the row. What can happen if the process dies between any two lines of `commit`:
before the write nothing has changed but, when history was sealed, a segment that no row names (garbage that the next
clean-up of the instance removes); after it everything has.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from perdure.core.codec import (
    Head,
    decode_head,
    decode_turns,
    encode_head,
    encode_turns,
    head_in_segment,
    segment_of_head,
)
from perdure.core.history import EventRaised, Turn
from perdure.core.outbox import Sender, execution_of
from perdure.core.state import Parent, State
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.core.streams import Flow
from perdure.engine.delivery import ticket
from perdure.engine.notices import Notices
from perdure.engine.settings import EngineSettings
from perdure.errors import StoredDataError
from perdure.storage.protocol import PayloadMissing, Storage
from perdure.storage.rows import Instance, Row, RowUpdate

_HAS_HISTORY = (OrchestrationRuntimeStatus.Running, OrchestrationRuntimeStatus.Suspended)
"""Statuses that a first generation has only by a turn. (A later one may have begun without one.)"""


class Columns(msgspec.Struct, kw_only=True):
    """The columns a commit changes; UNSET ones stay as they are."""

    status: OrchestrationRuntimeStatus | UnsetType = UNSET
    updated_at: datetime | UnsetType = UNSET
    completed_at: datetime | UnsetType | None = UNSET
    output: str | UnsetType | None = UNSET
    custom_status: str | UnsetType | None = UNSET
    failure: str | UnsetType | None = UNSET
    reason: str | UnsetType | None = UNSET


class Generation(msgspec.Struct, kw_only=True):
    """The next generation that a commit begins."""

    input: str | None
    version: str | None
    carried: list[Turn]
    waiting_events: list[EventRaised]
    suspended: bool
    flows: dict[str, Flow]
    """The streams to entities that it goes on with."""
    ending: Turn
    """The last turn of the generation before."""


class Change(msgspec.Struct, kw_only=True):
    """One commit."""

    commit: str
    turn: Turn | None
    """The turn to add: to the present generation, or to the next one if the commit begins it."""
    columns: Columns
    generation: Generation | None = None
    history: list[Turn] | None = None
    """What the history is from now on, before `turn`: it is cut after so many turns. None leaves it as it is."""
    parent: Parent | None = None
    """Who is told the outcome from now on, if somebody else is."""


class Journal:
    """An instance as this session knows it. `load` before anything else; after a `Conflict`, `load` again.

    Args:
        storage: where it is.
        instance_id: the instance.
        settings: limits of rows.
        notices: told of each commit, for those who wait in this process.
    """

    def __init__(
        self, storage: Storage, instance_id: str, settings: EngineSettings, notices: Notices | None = None
    ) -> None:
        self._storage = storage
        self._settings = settings
        self._notices = notices
        self._segments: dict[str, list[Turn]] = {}
        self.instance_id = instance_id
        self.row: Row | None = None
        self.state = State()
        self.sender = Sender(instance_id, "", None)
        self.fresh_at = 0
        """Ticket drawn before the row was last known to be current."""

    async def load(self) -> None:
        """Read the row, and those of its segments that are not known yet.

        Raises:
            PayloadMissing: a segment that the row names does not exist.
            StoredDataError: the row or a segment can't be read.
        """
        drawn = ticket()
        row = await self._storage.read(self.instance_id)
        while row is not None and not row.instance.deleting:
            try:
                await self._adopt(row)
            except PayloadMissing:
                # continue-as-new or a purge may have removed the segment after the row was read
                before, drawn = row.etag, ticket()
                row = await self._storage.read(self.instance_id)
                if row is not None and row.etag == before:
                    raise
            except StoredDataError as error:
                raise StoredDataError(f"instance '{self.instance_id}': {error}") from error
            else:
                self.fresh_at = drawn
                self._post()
                return
        self.row = None
        self.fresh_at = drawn

    def adopt_new(self, row: Row, fresh_at: int) -> None:
        """Begin with a row that has just been inserted by this process, without reading it back; or, if it has no etag,
        with one that the first commit inserts.
        """
        self.row = row
        self.state = State()
        self.sender = _sender(row, decode_head(row.head))
        self.fresh_at = fresh_at

    async def _adopt(self, row: Row) -> None:
        missing = [name for name in row.segments if name not in self._segments]
        if missing:
            pieces = await self._storage.get_segments(self.instance_id, missing)
            self._segments |= {name: decode_turns(piece) for name, piece in zip(missing, pieces, strict=True)}
        self._segments = {name: self._segments[name] for name in row.segments}
        head = await self._read_head(row)
        turns = [turn for name in row.segments for turn in self._segments[name]]
        turns += [turn for entry in row.tail for turn in decode_turns(entry)]
        if not turns and row.instance.generation == 0 and row.instance.status in _HAS_HISTORY:
            raise StoredDataError(f"it is {row.instance.status}, but its history is gone")
        self.state = State(
            generation=row.instance.generation,
            ended=row.instance.status in ENDED,
            carried=head.carried,
            waiting_events=head.waiting_events,
            suspended=head.suspended,
            flows=head.flows,
            turns=turns,
        )
        self.row = row
        self.sender = _sender(row, head)

    async def _read_head(self, row: Row) -> Head:
        name = segment_of_head(row.head)
        if name is None:
            return decode_head(row.head)
        return decode_head((await self._storage.get_segments(self.instance_id, [name]))[0])

    @property
    def segments(self) -> list[str]:
        """Names of all segments that the row names."""
        row = self.row
        if row is None:
            return []
        head = segment_of_head(row.head)
        return [*row.segments, head] if head else list(row.segments)

    @property
    def instance(self) -> Instance:
        """The columns. Only of an instance that exists."""
        assert self.row is not None  # noqa: S101 - callers look at `row` first
        return self.row.instance

    @property
    def execution(self) -> str:
        """Name of the present generation of this execution."""
        return execution_of(self.sender.execution_id, self.state.generation)

    async def commit(self, change: Change) -> None:
        """Write a change; the journal shows it when this returns. Raises Conflict."""
        row = self.row
        assert row is not None  # noqa: S101 - only what exists is changed
        drawn = ticket()
        entry = encode_turns([change.turn]) if change.turn is not None else None
        if change.generation is not None:
            await self._begin_generation(row, change, change.generation, entry)
        elif change.history is not None or change.parent is not None:
            await self._rewrite(row, change, entry)
        elif entry is not None and self._must_seal(row, entry):
            await self._seal(row, change, entry)
        elif not row.etag:
            await self._put(Row(instance=_changed(row.instance, change), head=row.head, tail=[entry] if entry else []))
        else:
            row.etag = await self._storage.merge(self.instance_id, row.etag, _update(row, change, entry))
            row.instance = _changed(row.instance, change)
            if entry is not None:
                row.tail.append(entry)
        if change.turn is not None:
            self.state.apply(change.turn)
        if change.parent is not None:
            self.sender = msgspec.structs.replace(self.sender, parent=change.parent)
        self.fresh_at = drawn
        self._post()

    def _post(self) -> None:
        if self._notices is not None:
            self._notices.post(self.instance)

    def segments_within(self, turns: int) -> list[str]:
        """Return the names of the segments that hold nothing but the first so many turns of the history."""
        names: list[str] = []
        assert self.row is not None  # noqa: S101 - as in `instance`
        for name in self.row.segments:
            turns -= len(self._segments[name])
            if turns < 0:
                break
            names.append(name)
        return names

    def _must_seal(self, row: Row, entry: bytes) -> bool:
        return (
            len(row.tail) >= self._settings.tail_turns
            or sum(map(len, row.tail)) + len(entry) > self._settings.tail_bytes
            or len(entry) > self._settings.turn_bytes
        )

    async def _seal(self, row: Row, change: Change, entry: bytes) -> None:
        """Write the tail (and the new turn, if it is too large for a row) as a segment, then the row that names it."""
        assert change.turn is not None  # noqa: S101 - without a turn nothing grows
        large = len(entry) > self._settings.turn_bytes
        sealed = sum(len(self._segments[name]) for name in row.segments)
        turns = [*self.state.turns[sealed:], *([change.turn] if large else [])]
        name = f"{self.state.generation:08d}-{len(row.segments):06d}-{change.commit}"
        await self._storage.put_segment(self.instance_id, name, encode_turns(turns))
        await self._put(
            Row(
                instance=_changed(row.instance, change),
                head=row.head,
                segments=[*row.segments, name],
                tail=[] if large else [entry],
                etag=row.etag,
            )
        )
        self._segments[name] = turns

    async def _rewrite(self, row: Row, change: Change, entry: bytes | None) -> None:
        """Replace the row by one with another past, or another parent, or both."""
        state = self.state
        turns = state.turns if change.history is None else change.history
        names = self.segments_within(len(turns))
        rest = turns[sum(len(self._segments[name]) for name in names) :]
        tail = [*(encode_turns([turn]) for turn in rest), *([entry] if entry is not None else [])]
        instance = _changed(row.instance, change)
        segments = {name: self._segments[name] for name in names}
        if self._outgrows_a_row(tail):
            added = [*rest, *([change.turn] if change.turn is not None else [])]
            name = f"{state.generation:08d}-{len(names):06d}-{change.commit}"
            await self._storage.put_segment(self.instance_id, name, encode_turns(added))
            segments[name], tail = added, []
        parent = self.sender.parent if change.parent is None else change.parent
        head = Head(parent, state.carried, state.waiting_events, state.began_suspended, state.began_with)
        written = await self._written_head(head, instance.generation, change.commit)
        await self._put(Row(instance=instance, head=written, segments=list(segments), tail=tail, etag=row.etag))
        self._segments = segments
        self.state = State(
            generation=state.generation,
            ended=change.history is None and state.ended,
            carried=state.carried,
            waiting_events=state.waiting_events,
            suspended=state.began_suspended,
            flows=state.began_with,
            turns=turns,
        )

    def _outgrows_a_row(self, tail: Sequence[bytes]) -> bool:
        settings = self._settings
        sizes = [len(entry) for entry in tail]
        return (
            len(tail) > settings.tail_turns
            or sum(sizes) > settings.tail_bytes
            or max(sizes, default=0) > settings.turn_bytes
        )

    async def _written_head(self, head: Head, generation: int, commit: str) -> bytes:
        """Return what stands in the row for a head; one that is too large is stored as a segment first."""
        written = encode_head(head)
        if len(written) <= self._settings.turn_bytes:
            return written
        name = f"{generation:08d}-head-{commit}"
        await self._storage.put_segment(self.instance_id, name, written)
        return head_in_segment(name)

    async def _begin_generation(self, row: Row, change: Change, generation: Generation, entry: bytes | None) -> None:
        instance = msgspec.structs.replace(
            _changed(row.instance, change),
            generation=self.state.generation + 1,
            input=generation.input,
            version=generation.version,
        )
        parent = self.sender.parent if change.parent is None else change.parent
        head = await self._written_head(
            Head(parent, generation.carried, generation.waiting_events, generation.suspended, generation.flows),
            instance.generation,
            change.commit,
        )
        new = Row(instance=instance, head=head, etag=row.etag)
        segments: dict[str, list[Turn]] = {}
        if entry is not None and change.turn is not None and len(entry) > self._settings.turn_bytes:
            name = f"{instance.generation:08d}-000000-{change.commit}"
            await self._storage.put_segment(self.instance_id, name, entry)
            segments[name] = [change.turn]
            new.segments = [name]
        elif entry is not None:
            new.tail = [entry]
        await self._put(new)
        self._segments = segments
        self.state = State(
            generation=instance.generation,
            carried=generation.carried,
            waiting_events=generation.waiting_events,
            suspended=generation.suspended,
            flows=generation.flows,
        )

    async def _put(self, row: Row) -> None:
        """Write a whole row: one without an etag is new."""
        row.etag = await (self._storage.replace(row) if row.etag else self._storage.insert(row))
        self.row = row


def _sender(row: Row, head: Head) -> Sender:
    return Sender(row.instance.instance_id, row.instance.execution_id, head.parent)


def _update(row: Row, change: Change, entry: bytes | None) -> RowUpdate:
    columns = change.columns
    return RowUpdate(
        updated_at=row.instance.updated_at if columns.updated_at is UNSET else columns.updated_at,
        commit=change.commit,
        turn=entry,
        tail_index=len(row.tail),
        status=columns.status,
        completed_at=columns.completed_at,
        output=columns.output,
        custom_status=columns.custom_status,
        failure=columns.failure,
        reason=columns.reason,
    )


def _changed(instance: Instance, change: Change) -> Instance:
    columns = msgspec.structs.asdict(change.columns)
    changes = {name: value for name, value in columns.items() if value is not UNSET}
    return msgspec.structs.replace(instance, commit=change.commit, **changes)
