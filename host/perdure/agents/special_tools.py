"""Tools that are no functions of this process: orchestrations, and people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from agent_framework import FunctionTool

from perdure.core.naming import name_of

_KEY = "perdure"


def orchestration_tool(
    orchestrator: str | Callable[..., Any],
    *,
    description: str,
    parameters: Mapping[str, Any],
    name: str | None = None,
    approval: bool = False,
) -> FunctionTool:
    """Return a tool that runs an orchestration of the app: it may take days, and its output is the tool's result.

    For agents in mode `steps`. The orchestration's input is a dictionary of the arguments; its instance id is the same
    for the same call.

    Args:
        orchestrator: its name, or the decorated function.
        description: what the tool does, for the model.
        parameters: JSON schema of its arguments, an object.
        name: what the model calls it; by default the orchestrator's name.
        approval: whether somebody has to approve each call.
    """
    called = name_of(orchestrator, "orchestrator")
    return FunctionTool(
        name=name or called,
        description=description,
        func=None,
        input_model=dict(parameters),
        approval_mode="always_require" if approval else "never_require",
        additional_properties={_KEY: {"orchestration": called}},
    )


def ask_human_tool(
    name: str = "ask_human",
    description: str = "Ask a person a question and wait for the answer, where you can't know or may not decide.",
) -> FunctionTool:
    """Return a tool with which a model asks a person a question in free form. For agents in mode `steps`.

    Args:
        name: what the model calls it.
        description: when to use it, for the model.
    """
    schema = {
        "type": "object",
        "properties": {"question": {"type": "string", "description": "What you want to know."}},
        "required": ["question"],
    }
    return FunctionTool(
        name=name, description=description, func=None, input_model=schema, additional_properties={_KEY: {"human": True}}
    )


def orchestration_of(tool: FunctionTool) -> str | None:
    """Name of the orchestrator that a tool stands for, if it stands for one."""
    found = _ours(tool).get("orchestration")
    return None if found is None else str(found)


def asks_human(tool: FunctionTool) -> bool:
    """Whether a tool asks a person."""
    return bool(_ours(tool).get("human"))


def text_of(output: Any) -> str:
    """Return an orchestration's output as a model reads it."""
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


def is_special(tool: FunctionTool) -> bool:
    """Whether a tool is one of these."""
    return bool(_ours(tool))


def _ours(tool: FunctionTool) -> Mapping[str, Any]:
    properties = tool.additional_properties or {}
    found = properties.get(_KEY)
    return found if isinstance(found, Mapping) else {}
