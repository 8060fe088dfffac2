"""Durable workflows: a `Workflow` of the Microsoft Agent Framework as an orchestration, its executors as activities."""

from __future__ import annotations

from perdure.agents.retries import Retry
from perdure.agents.workflows.definition import WorkflowDefinition
from perdure.agents.workflows.errors import (
    UndeclaredTypeError,
    WorkflowFailedError,
    WorkflowInputError,
    WorkflowRegistrationError,
    WorkflowResponseError,
)
from perdure.agents.workflows.options import AgentMode
from perdure.agents.workflows.registration import FunctionTarget, register_workflow
from perdure.agents.workflows.runs import AnsweredRequestError, UnknownRequestError, WorkflowRuns

__all__ = [
    "AgentMode",
    "AnsweredRequestError",
    "FunctionTarget",
    "Retry",
    "UndeclaredTypeError",
    "UnknownRequestError",
    "WorkflowDefinition",
    "WorkflowFailedError",
    "WorkflowInputError",
    "WorkflowRegistrationError",
    "WorkflowResponseError",
    "WorkflowRuns",
    "register_workflow",
]
