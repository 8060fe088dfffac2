"""Time and identity, taken from outside so that the engine runs under virtual time and a seed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the engine knows of time."""

    def now(self) -> datetime:
        """Return the time: aware, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the time: aware, UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


NewId = Callable[[], str]
"""Makes an id that no one else makes: 32 hexadecimal digits."""


def new_id() -> str:
    """Return 32 random hexadecimal digits, which nobody guesses."""
    return os.urandom(16).hex()
