"""The notice board of a process: who waits for an instance is told what this process commits of it.

Other processes may move the instance as well: whoever waits looks at the row, too, now and then.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from perdure.storage.rows import Instance

_MOST_STARTS = 1_000
"""Starts that are remembered."""


class Notices:
    """Passes on what has been committed. For one event loop."""

    def __init__(self) -> None:
        self._watchers: dict[str, set[Watcher]] = {}
        self._started: OrderedDict[str, Instance] = OrderedDict()
        self.watching = 0
        """How many wait."""

    def post(self, instance: Instance) -> None:
        """Tell the columns of an instance as a commit has just written them."""
        self._started.pop(instance.instance_id, None)
        for watcher in self._watchers.get(instance.instance_id, ()):
            watcher.tell(instance)

    def note_start(self, instance: Instance) -> None:
        """Remember an instance that this process has just started: whoever waits for it need not look whether it is
        there.
        """
        self._started[instance.instance_id] = instance
        if len(self._started) > _MOST_STARTS:
            self._started.popitem(last=False)

    def just_started(self, instance_id: str) -> Instance | None:
        """Return the columns of an instance that was started here, once, unless a commit has been told of since."""
        return self._started.pop(instance_id, None)

    @contextmanager
    def watch(self, instance_id: str, wanted: Callable[[Instance], bool]) -> Iterator[Watcher]:
        """Yield what is told of the commits of an instance that satisfy `wanted`, until the block ends."""
        watcher = Watcher(wanted)
        watchers = self._watchers.setdefault(instance_id, set())
        watchers.add(watcher)
        self.watching += 1
        try:
            yield watcher
        finally:
            self.watching -= 1
            watchers.discard(watcher)
            if not watchers and self._watchers.get(instance_id) is watchers:
                del self._watchers[instance_id]


class Watcher:
    """One who waits; remembers the last notice that came while it did something else."""

    def __init__(self, wanted: Callable[[Instance], bool]) -> None:
        self._wanted = wanted
        self._told: Instance | None = None
        self._waiting: asyncio.Future[None] | None = None

    def tell(self, instance: Instance) -> None:
        if not self._wanted(instance):
            return
        self._told = instance
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def next(self, sleeping: Coroutine[Any, Any, Any]) -> Instance | None:
        """Return the next notice, or None if `sleeping` ends before there is one."""
        sleeper = asyncio.ensure_future(sleeping)
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            if self._told is None:
                await asyncio.wait({sleeper, self._waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            self._waiting = None
        told, self._told = self._told, None
        return told
