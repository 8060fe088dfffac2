"""Doing many things at once, but not too many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

_AT_ONCE = 16
"""More requests than that at once do not get a turn's messages out faster, and keep others of this process waiting."""

T = TypeVar("T")


async def side_by_side(do: Callable[[T], Awaitable[Any]], things: Iterable[T]) -> None:
    """Do something with each of these, a bounded number at a time.

    All are tried, whatever comes of some; then what the first that failed has raised is raised.
    """
    todo = list(things)
    if len(todo) <= 1:
        for thing in todo:
            await do(thing)
        return
    errors: list[Exception] = []
    rest = iter(todo)

    async def work_off() -> None:
        for each in rest:
            try:
                await do(each)
            except Exception as error:  # noqa: BLE001 - raised below
                errors.append(error)

    await asyncio.gather(*(work_off() for _ in range(min(_AT_ONCE, len(todo)))))
    if errors:
        raise errors[0]
