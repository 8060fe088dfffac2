"""What an instance's reason says of its parked messages: one line, which outlives what else the reason says.

The reason is text for people. Turns come and go and set or clear the rest of it; the line about parked messages stays
until the last of them is sent again or discarded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LINE = re.compile(r"^parked: \d+ messages? could not be processed \(([0-9a-f, ]+)\).*$", re.MULTILINE)
_IDS_SHOWN = 100


def parked_in(reason: str | None) -> list[str]:
    """Return the ids of the parked messages that a reason names."""
    found = _LINE.search(reason or "")
    return found[1].split(", ") if found else []


def parked_line(reason: str | None) -> str | None:
    """Return the part of a reason that tells of parked messages, None if there is none."""
    found = _LINE.search(reason or "")
    return found[0] if found else None


def with_parked(reason: str | None, message_id: str) -> str:
    """Return the reason with one more parked message; at most 100 are named."""
    return _joined(_rest(reason), list(dict.fromkeys([*parked_in(reason), message_id]))) or ""


def without_parked(reason: str | None, message_id: str) -> str | None:
    """Return the reason without a message that is parked no longer."""
    return _joined(_rest(reason), [each for each in parked_in(reason) if each != message_id])


def beside_parked(text: str | None, reason: str | None) -> str | None:
    """Return what the reason says if it says `text`, and what it has said of parked messages before."""
    return _joined(text or "", parked_in(reason))


def _rest(reason: str | None) -> str:
    return _LINE.sub("", reason or "").strip("\n")


def _joined(text: str, ids: Sequence[str]) -> str | None:
    lines = [text] if text else []
    if ids:
        shown = list(ids[:_IDS_SHOWN])
        messages = "1 message" if len(shown) == 1 else f"{len(shown)} messages"
        lines.append(
            f"parked: {messages} could not be processed ({', '.join(shown)}): 'perdure poison show ID' says why, "
            f"'retry' sends it again"
        )
    return "\n".join(lines) or None
