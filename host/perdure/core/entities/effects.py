"""Effects: what an operation of an entity asks for besides its result. They take place if it succeeds."""

from __future__ import annotations

from datetime import datetime

import msgspec


class SignalSent(msgspec.Struct, frozen=True):
    """Have an entity perform an operation."""

    entity: str
    operation: str
    input: str | None
    due: datetime | None = None


class OrchestrationBegun(msgspec.Struct, frozen=True):
    """Start an orchestration."""

    instance_id: str
    name: str
    input: str | None
    version: str | None = None
    start_at: datetime | None = None
    tags: dict[str, str] = {}


Effect = SignalSent | OrchestrationBegun
