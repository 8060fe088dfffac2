"""Names of the functions that a workflow becomes."""

from __future__ import annotations

import re

from perdure.agents.workflows.errors import WorkflowRegistrationError

PREFIX = "dafx-"
"""How the names begin, as in the Microsoft Agent Framework's own host."""

_WORKFLOW_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_MADE_UP = re.compile(r"WorkflowBuilder-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_EXECUTOR_LIMIT = 200


def orchestration_name(workflow: str) -> str:
    """Return the name of a workflow's orchestration."""
    return PREFIX + workflow


def activity_name(workflow: str, executor_id: str) -> str:
    """Return the name of an executor's activity."""
    return f"{PREFIX}{workflow}-{executor_id}"


def model_activity_name(workflow: str, executor_id: str) -> str:
    """Return the name of the activity that asks the models of an executor's agents, in mode `steps`."""
    return f"{activity_name(workflow, executor_id)}-model"


def tool_activity_name(workflow: str, executor_id: str) -> str:
    """Return the name of the activity that runs the tools of an executor's agents, in mode `steps`."""
    return f"{activity_name(workflow, executor_id)}-tool"


def superstep_activity_name(workflow: str) -> str:
    """Return the name of the activity that tells of a workflow's supersteps."""
    return f"{PREFIX}{workflow}-superstep"


def is_made_up(name: str) -> bool:
    """Whether the framework has made up a workflow's name: such a name is another one in every process."""
    return _MADE_UP.fullmatch(name) is not None


def checked_workflow_name(name: str) -> str:
    """Return the name of a workflow if it can stand in URLs and be found again after a restart.

    Raises:
        WorkflowRegistrationError: it can't.
    """
    if is_made_up(name):
        raise WorkflowRegistrationError(
            f"this workflow has no name of its own ('{name}' is another one in every process): build it with "
            f"WorkflowBuilder(name=...), or register it with a name"
        )
    if _WORKFLOW_NAME.fullmatch(name) is None:
        raise WorkflowRegistrationError(
            f"a workflow can't be named '{name}': its name stands in URLs, so it begins with a letter and has at most "
            f"63 letters, digits, hyphens and underscores"
        )
    return name


def checked_executor_id(workflow: str, executor_id: str) -> str:
    """Return an executor's id if it can name an activity. Raises WorkflowRegistrationError."""
    if len(executor_id) > _EXECUTOR_LIMIT:
        raise WorkflowRegistrationError(
            f"workflow '{workflow}': the id of executor '{executor_id[:40]}...' has {len(executor_id)} characters, "
            f"{_EXECUTOR_LIMIT} are allowed"
        )
    return executor_id
