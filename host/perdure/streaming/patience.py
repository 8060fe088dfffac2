"""Waiting for a store that is away for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from perdure.storage.protocol import StorageUnavailable

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE, _PATIENCE = 0.5, 10.0, 60.0
"""Seconds."""


class StreamUnavailable(StorageUnavailable):
    """The store of a stream has been away for more than a minute. An activity that ends with this is run again."""


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call that may be repeated; repeat it while the store is away. Raises StreamUnavailable after a minute."""
    loop = asyncio.get_running_loop()
    enough, pause = loop.time() + _PATIENCE, _FIRST_PAUSE
    while True:
        try:
            return await call()
        except StorageUnavailable as error:
            if loop.time() + pause > enough:
                raise StreamUnavailable(str(error)) from error
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
