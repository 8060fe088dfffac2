"""Garbage: what an instance's storage holds that nothing will read again."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import UNSET

from perdure.core.actions import TaskScheduled
from perdure.core.data import payload_of
from perdure.core.messages import Completions, ControlMessage, RaiseEvent
from perdure.engine.executor import datum_of
from perdure.engine.journal import Change, Journal
from perdure.engine.overdue import is_another_week


class Garbage(msgspec.Struct, frozen=True):
    """Names of payloads and segments to delete once the change that made them garbage is durable."""

    payloads: list[str] = []
    segments: list[str] = []
    looks: bool = False
    """Whether it is time to look for more."""

    @classmethod
    def of_message(cls, message: ControlMessage, journal: Journal, consumed: Iterable[ControlMessage] = ()) -> Garbage:
        """Return the payloads of a message that is dropped unread, but for those that another one has brought, too:
        outcomes that are told again may share messages with others than the first time.

        Args:
            message: is dropped.
            journal: its instance.
            consumed: messages that came with it and were taken in, or put back.
        """
        payloads = _payloads(_data_of(message))
        if payloads and journal.row is not None:
            turns = (*journal.state.carried, *journal.state.turns)
            needed = [datum_of(event) for turn in turns for event in turn.events]
            needed += [datum_of(event) for event in journal.state.waiting_events]
            needed += [datum for each in consumed for datum in _data_of(each)]
            kept = set(_payloads(needed))
            payloads = [each for each in payloads if each not in kept]
        return cls(payloads=payloads)


def garbage_of(journal: Journal, change: Change) -> Garbage:
    """Return what a change makes garbage: a custom status that is set anew, and the history of a generation that
    continues as new, with their payloads.
    """
    if journal.row is None:
        return Garbage()
    data = [] if change.columns.custom_status is UNSET else [journal.instance.custom_status]
    generation = change.generation
    if change.history is not None and generation is None:
        kept_segments = journal.segments_within(len(change.history))
        return Garbage(_payloads(data), [name for name in journal.segments if name not in kept_segments])
    if generation is None:
        return Garbage(payloads=_payloads(data))
    data.append(journal.instance.input)
    for turn in (*journal.state.turns, generation.ending):
        data += [datum_of(event) for event in turn.events]
        data += [action.input for action in turn.actions if isinstance(action, TaskScheduled)]
    kept = set(_payloads([generation.input, *(event.data for event in generation.waiting_events)]))
    looks = is_another_week(journal.instance.updated_at, generation.ending.at)
    return Garbage([each for each in _payloads(data) if each not in kept], journal.segments, looks)


def _data_of(message: ControlMessage) -> list[str | None]:
    match message:
        case RaiseEvent():
            return [message.data]
        case Completions():
            return [item.result for item in message.items]
        case _:
            return []


def _payloads(data: list[str | None]) -> list[str]:
    return list(dict.fromkeys(payload_id for datum in data if (payload_id := payload_of(datum)) is not None))
