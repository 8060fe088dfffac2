"""Durable streams as clients deal with them: they are read, and written where no activity does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from perdure.client.arguments import seconds_of
from perdure.client.hub_client import HubClient
from perdure.core.entity_id import EntityId
from perdure.core.naming import check_instance_id
from perdure.streaming import StreamDesk, StreamItem, StreamOpening, StreamPage, StreamReader
from perdure.streaming.log import StreamLog, present_life

_LONGEST_WAIT = 3600.0
_AT_A_TIME = 20.0


class Streams(HubClient):
    """The part of the client that deals with them."""

    async def read_stream(
        self,
        instance_id: str | EntityId,
        name: str,
        *,
        cursor: str | None = None,
        wait: float | timedelta = 0,
        limit: int = 1_000,
    ) -> StreamPage:
        """Return the items of a stream that follow a cursor: `items`, the next `cursor`, and whether it has `ended`.

        Who goes on with the cursors returned gets each item once and in order, whenever and wherever.

        Args:
            instance_id: the orchestration or entity that the stream belongs to.
            name: the stream's name; one that nobody has written to yet has no items.
            cursor: that of an item or a page; None begins at the beginning.
            wait: seconds to wait for an item if there is none yet, an hour at most.
            limit: items at most.

        Raises:
            InstanceNotFoundError: there is no such orchestration, and no cursor is given.
            StoredDataError: the stream is damaged.
            ValueError: the name or the cursor is none, or the limit is less than 1.
        """
        seconds = seconds_of(wait)
        reader = StreamReader(self._storage, str(instance_id), name)
        longest = _LONGEST_WAIT if seconds is None else min(seconds, _LONGEST_WAIT)
        return await reader.read(cursor, wait=longest, limit=limit)

    async def stream(
        self, instance_id: str | EntityId, name: str, *, cursor: str | None = None
    ) -> AsyncIterator[StreamItem]:
        """Iterate over the items of a stream as they come, until it ends; the last one is its `end`.

        Args:
            instance_id: see `read_stream`, as for the other arguments and for what is raised.
            name: see there.
            cursor: that of the last item that the caller has had; None begins at the beginning.
        """
        while True:
            page = await self.read_stream(instance_id, name, cursor=cursor, wait=_AT_A_TIME)
            for item in page.items:
                yield item
            if page.ended:
                return
            cursor = page.cursor

    def open_stream(self, instance_id: str | EntityId, name: str, *, step: str) -> StreamOpening:
        """Open a stream to write to it from outside of an activity: `async with ... as stream` gives a `StreamWriter`.

        In activities there is `activity_context().stream(name)`, which knows the step.

        Args:
            instance_id: the orchestration or entity that it belongs to, and with which it is deleted.
            name: the stream's name: 1 to 64 letters, digits and '-'.
            step: key of what is going to write, the same each time that it is tried.

        Raises:
            InstanceNotFoundError: (when entered) there is no such orchestration.
            ValueError: the name, id or step can't be one.
        """
        desk = StreamDesk(self._storage, self._new_id)
        return desk.opening(check_instance_id(str(instance_id)), name, step)

    async def delete_stream(self, instance_id: str | EntityId, name: str) -> int:
        """Delete a stream that is no longer needed before its instance is deleted, which deletes it too.

        Args:
            instance_id: the orchestration or entity that it belongs to.
            name: the stream's name.

        Returns:
            How many pieces there were in the store; 0 if there is no such stream.

        Raises:
            InstanceNotFoundError: there is no such orchestration.
            ValueError: the name is none.
        """
        owner = str(instance_id)
        return await StreamLog(self._storage, owner, name, await present_life(self._storage, owner)).delete()
