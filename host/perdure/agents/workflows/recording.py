"""What an executor's handlers work with in an activity: everything they do is recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from agent_framework import Workflow, WorkflowCheckpoint, WorkflowEvent

from perdure.agents.workflows.framework import State, WorkflowMessage
from perdure.errors import PerdureError


class RecordingState(State):
    """The shared state as it was when the superstep began, and what a handler changes in it."""

    def __init__(self, shared: dict[str, Any]) -> None:
        super().__init__()
        self._committed = dict(shared)
        self.changes: list[tuple[str] | tuple[str, Any]] = []
        """(key, value) for a value that was set, (key,) for one that was deleted; in order."""

    def set(self, key: str, value: Any) -> None:
        """Set a value: seen at once by this executor, by others from the next superstep on."""
        super().set(key, value)
        self.changes.append((key, self._pending[key]))

    def delete(self, key: str) -> None:
        """Delete a value. Raises KeyError."""
        super().delete(key)
        self.changes.append((key,))

    def clear(self) -> None:
        """Delete all values."""
        for key in [*self._committed, *(key for key in self._pending if key not in self._committed)]:
            if self.has(key):
                self.delete(key)

    def take_changes(self) -> list[tuple[str] | tuple[str, Any]]:
        """Return the changes since the last call."""
        taken, self.changes = self.changes, []
        return taken


class RecordingContext:
    """The framework's runner context: it collects messages, events and requests instead of delivering them.

    Args:
        workflow: the workflow.
        tell: is told of each event as it happens.
    """

    def __init__(self, workflow: Workflow, tell: Callable[[WorkflowEvent[Any]], Awaitable[None]]) -> None:
        self._workflow = workflow
        self._tell = tell
        self.messages: list[WorkflowMessage] = []
        self.events: list[WorkflowEvent[Any]] = []
        self.requests: dict[str, WorkflowEvent[Any]] = {}

    # ---- what handlers do ----------------------------------------------------------------------------------------

    async def send_message(self, message: WorkflowMessage) -> None:
        """Record a message."""
        self.messages.append(message)

    async def add_event(self, event: WorkflowEvent[Any]) -> None:
        """Record an event."""
        self.events.append(event)
        await self._tell(event)

    async def add_request_info_event(self, event: WorkflowEvent[Any]) -> None:
        """Record a request."""
        self.requests[event.request_id] = event
        self.events.append(event)
        await self._tell(event)

    def classify_yielded_output(self, executor_id: str) -> Literal["output", "intermediate"] | None:
        """Return what a yield of this executor is, as the workflow was built."""
        if self._workflow.is_terminal_executor(executor_id):
            return "output"
        return "intermediate" if self._workflow.is_intermediate_executor(executor_id) else None

    def is_streaming(self) -> bool:
        """Agents answer at once, not bit by bit."""
        return False

    def get_runtime_tools(self) -> None:
        """No tools are handed to a run."""

    async def get_pending_request_info_events(self) -> dict[str, WorkflowEvent[Any]]:
        """Return the requests of this activity."""
        return dict(self.requests)

    # ---- the rest of the protocol, which the framework's runner calls and handlers don't ---------------------------

    async def drain_messages(self) -> dict[str, list[WorkflowMessage]]:
        """Return nothing: messages are taken by the activity."""
        return {}

    async def has_messages(self) -> bool:
        """Whether messages wait to be delivered in this process: never."""
        return False

    async def drain_events(self) -> list[WorkflowEvent[Any]]:
        """Return nothing: events are taken by the activity."""
        return []

    async def has_events(self) -> bool:
        """Whether events wait to be shown in this process: never."""
        return False

    def has_checkpointing(self) -> bool:
        """Whether the framework is to store checkpoints: no, the orchestration is the checkpoint."""
        return False

    async def load_checkpoint(self, checkpoint_id: str) -> WorkflowCheckpoint | None:
        """Refuse. Raises PerdureError."""
        raise PerdureError(f"there is no checkpoint '{checkpoint_id}': a durable workflow is its own checkpoint")
