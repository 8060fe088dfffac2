"""Events as they happen, in a durable stream of the run's instance: what executors begin, yield, ask and say, and where
supersteps begin and end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from agent_framework import WorkflowEvent

from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.plain import plain
from perdure.agents.workflows.wire import Mark, Marking
from perdure.engine.registry import current_activity
from perdure.streaming import StreamWriter

STREAM = "events"
"""Name of the stream."""

_WITHOUT_DATA = {"executor_invoked", "executor_completed"}


class EventTeller:
    """Writes the events of one activity to the stream; a repeat of the activity tells readers to forget the first run.

    Args:
        instance_id: the instance to whose stream they go; None tells nobody.
        codec: of the workflow.
        skip: so many events have been told before, and are not told again.
    """

    def __init__(self, instance_id: str | None, codec: Codec, *, skip: int = 0) -> None:
        self._instance_id = instance_id
        self._codec = codec
        self._skip = skip
        self._count = 0
        self.hold_failures = False
        """Whether it is left to a later activity to tell that a handler raised."""
        self._stack = AsyncExitStack()
        self._writer: StreamWriter | None = None

    async def __aenter__(self) -> Self:
        activity = current_activity.get(None)
        if self._instance_id is not None and activity is not None and activity.desk is not None:
            opening = activity.stream(STREAM, instance_id=self._instance_id)
            self._writer = await self._stack.enter_async_context(opening)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def tell(self) -> Callable[[WorkflowEvent[Any]], Awaitable[None]]:
        """What events are told to."""
        return self._tell

    @property
    def told(self) -> int:
        """Events that have been told, those before included."""
        return max(self._skip, self._count)

    async def say(self, executor_id: str, text: str) -> None:
        """Tell a part of what a model says."""
        if self._writer is not None:
            await self._writer.write({"executorId": executor_id, "text": text}, "update")

    async def mark(self, marks: Iterable[Mark]) -> None:
        """Tell where supersteps begin and end."""
        for each in marks:
            await self._tell(WorkflowEvent(each["type"], iteration=each["iteration"]))

    async def _tell(self, event: WorkflowEvent[Any]) -> None:
        if self.hold_failures and event.type == "executor_failed":
            return
        self._count += 1
        if self._writer is not None and self._count > self._skip:
            await self._writer.write(self._shown(event), event.type)

    def _shown(self, event: WorkflowEvent[Any]) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        if event.executor_id is not None:
            shown["executorId"] = event.executor_id
        if event.iteration is not None:
            shown["iteration"] = event.iteration
        if event.type == "request_info":
            shown |= {"requestId": event.request_id, "executorId": event.source_executor_id}
        if event.details is not None:
            shown |= {"errorType": event.details.error_type, "message": event.details.message}
        elif event.data is not None and event.type not in _WITHOUT_DATA:
            shown["data"] = self._plain(event.data)
        return shown

    def _plain(self, data: Any) -> Any:
        return plain(self._codec.encode(data)) if self._codec.can_encode(data) else str(data)


def marking(codec: Codec) -> Callable[[Any], Awaitable[None]]:
    """Return the activity that tells of supersteps whose executors can't do so: several, or a wrapped workflow."""

    async def tell(work: Marking) -> None:
        async with EventTeller(work["stream_to"], codec) as teller:
            await teller.mark(work["marks"])

    return tell
