"""Termination: decided from the state alone, so that it also ends instances whose code is gone or no longer fits."""

from __future__ import annotations

from collections.abc import Sequence

from perdure.core.actions import Action, ChildTerminated, OrchestrationCompleted
from perdure.core.data import to_json
from perdure.core.history import Event, ExecutionTerminated
from perdure.core.state import State
from perdure.core.status import OrchestrationRuntimeStatus


def termination(state: State, events: Sequence[Event]) -> list[Action] | None:
    """Return what a turn that takes in these events decides if one of them is a termination, else None."""
    asked = next((event for event in events if isinstance(event, ExecutionTerminated)), None)
    if asked is None:
        return None
    children: list[Action] = []
    if asked.recursive:
        children = [
            ChildTerminated(child.instance_id, execution_id, asked.reason)
            for child in state.open_children()
            for execution_id in (child.execution_id, *child.earlier)
        ]
    return [*children, OrchestrationCompleted(OrchestrationRuntimeStatus.Terminated, to_json(asked.reason))]
