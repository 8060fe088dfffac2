"""What of the Microsoft Agent Framework is not exported, gathered in one place.

The framework's own routing decides where a message goes and its own classes run handlers, so that a workflow means
the same durably as in process; they live in modules whose names begin with an underscore.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from agent_framework import (
    AgentExecutorRequest,
    AgentExecutorResponse,
    AgentResponse,
    AgentResponseUpdate,
    AgentSession,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    Message,
    SubWorkflowRequestMessage,
    SubWorkflowResponseMessage,
    WorkflowErrorDetails,
    WorkflowEvent,
    WorkflowEventSource,
    WorkflowRunState,
)
from agent_framework._workflows._const import (
    INTERNAL_SOURCE_ID,
    RESOLVED_WORKFLOW_RUN_KWARGS_KEY,
    ROUTED_WORKFLOW_RUN_KWARGS_KEY,
    WORKFLOW_RUN_KWARGS_KEY,
)
from agent_framework._workflows._edge import EdgeGroup, FanInEdgeGroup, FanOutEdgeGroup, InternalEdgeGroup
from agent_framework._workflows._edge_runner import EdgeRunner, create_edge_runner
from agent_framework._workflows._functional import FunctionalWorkflow
from agent_framework._workflows._runner_context import MessageType, WorkflowMessage
from agent_framework._workflows._state import State
from agent_framework._workflows._typing_utils import is_instance_of, try_coerce_to_type

RUN_KWARGS_KEYS = (WORKFLOW_RUN_KWARGS_KEY, RESOLVED_WORKFLOW_RUN_KWARGS_KEY, ROUTED_WORKFLOW_RUN_KWARGS_KEY)
"""Keys of the shared state that the framework sets to an empty dictionary when a run begins."""

MESSAGE_TYPES = (
    AgentExecutorRequest,
    AgentExecutorResponse,
    AgentResponse,
    AgentResponseUpdate,
    AgentSession,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    Message,
    SubWorkflowRequestMessage,
    SubWorkflowResponseMessage,
    WorkflowErrorDetails,
    WorkflowEvent,
    WorkflowEventSource,
    WorkflowRunState,
)
"""Types of the framework's own that every workflow may store."""

__all__ = [
    "INTERNAL_SOURCE_ID",
    "MESSAGE_TYPES",
    "RUN_KWARGS_KEYS",
    "EdgeGroup",
    "EdgeRunner",
    "FanInEdgeGroup",
    "FanOutEdgeGroup",
    "InternalEdgeGroup",
    "MessageType",
    "State",
    "WorkflowMessage",
    "create_edge_runner",
    "is_instance_of",
    "step_functions",
    "try_coerce_to_type",
]


def step_functions(function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Yield the functions behind the steps that a functional workflow's function reaches."""
    wrappers, _ = FunctionalWorkflow._discover_workflow_dependencies(function)  # noqa: SLF001 - see above
    for wrapper in wrappers:
        yield wrapper._func  # noqa: SLF001 - see above
