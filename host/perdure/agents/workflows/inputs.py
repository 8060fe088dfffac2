"""A client's JSON as the input of a workflow: one of the types that its start executor takes."""

from __future__ import annotations

from typing import Any

from agent_framework import Executor, Workflow

from perdure.agents.workflows.errors import WorkflowInputError
from perdure.agents.workflows.framework import INTERNAL_SOURCE_ID, WorkflowMessage, is_instance_of, try_coerce_to_type
from perdure.agents.workflows.requests import type_shown


def input_message(workflow: Workflow, executor: Executor, data: Any) -> WorkflowMessage:
    """Return the message by which a workflow's start executor gets its input.

    Args:
        workflow: the workflow.
        executor: its start executor.
        data: JSON.

    Raises:
        WorkflowInputError: no handler of the executor takes such data.
    """
    message = WorkflowMessage(_fitting(executor, data), INTERNAL_SOURCE_ID(executor.id), executor.id)
    if executor.can_handle(message):
        return message
    raise WorkflowInputError(
        f"workflow '{workflow.name}' can't start with {type(message.data).__name__} {_clipped(message.data)}: its "
        f"start executor '{executor.id}' takes {' or '.join(type_shown(kind) for kind in executor.input_types)}"
    )


def _fitting(executor: Executor, data: Any) -> Any:
    """Return the data as the first type of the executor that they are, or can be made to be."""
    for kind in executor.input_types:
        if is_instance_of(data, kind):
            return data
    for kind in executor.input_types:
        made = try_coerce_to_type(data, kind)
        if is_instance_of(made, kind):
            return made
    return data


def _clipped(value: Any, limit: int = 100) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
