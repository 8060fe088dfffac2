"""Dates of payloads: from when on, if nothing names them, they are waste.

Payloads are stored before what names them: before the commit of a turn, before a message. Whoever dies in between
leaves one that nobody will name. Its id ends with the hour when it was to be delivered, so that it can be told from one
that is on its way. `sweeping` says what becomes of it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

DATA, STATE, MESSAGE, START = "data-", "state-", "msg-", "start-"
"""How ids of payloads begin that have a date: data, states of entities, messages, inputs of executions."""

_DATED = re.compile(rf"(?:{DATA}|{STATE}|{MESSAGE}|{START}).+-on-([0-9]{{10}})", re.DOTALL)
_DATED_START = re.compile(rf"{START}.+-at-([0-9a-f]{{1,11}})", re.DOTALL)
"""That of a client: see `deleting`."""


def dated(payload_id: str, now: datetime, due: datetime | None = None) -> str:
    """Return a payload id with its date.

    Args:
        payload_id: how it begins: with one of the above.
        now: the time.
        due: when the payload is to be delivered, if later than now.
    """
    date = now if due is None else max(now, due)
    return f"{payload_id}-on-{_hour(date)}"


def dated_start(payload_id: str, now: datetime) -> str:
    """Return the same to the second, for the input of a start that nobody repeats if its starter dies."""
    return f"{payload_id}-at-{int(now.timestamp()):x}"


def started_at(payload_id: str) -> datetime | None:
    """Return the date of such an input; None of anything else."""
    found = _DATED_START.fullmatch(payload_id)
    return None if found is None else datetime.fromtimestamp(int(found[1], 16), UTC)


def is_overdue(payload_id: str, before: datetime) -> bool:
    """Whether a payload has a date, and it is so early."""
    if (start := started_at(payload_id)) is not None:
        return start < before
    found = _DATED.fullmatch(payload_id)
    return found is not None and found[1] < _hour(before)


def is_another_week(before: datetime, now: datetime) -> bool:
    """Whether what lives for long should look for waste, having come from one time to the other: once a week."""
    return before.astimezone(UTC).isocalendar()[:2] < now.astimezone(UTC).isocalendar()[:2]


def _hour(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y%m%d%H}"
