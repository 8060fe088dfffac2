"""How a workflow is run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from perdure.agents.human import HumanPolicy
from perdure.agents.retries import MODEL_RETRY, Retry
from perdure.core.retry import RetryPolicy

AgentMode = Literal["turn", "steps"]
"""`turn`: what an executor does in a superstep is one activity. `steps`: each call of a model or tool is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a workflow is run: what `register_workflow` takes; see there."""

    types: Iterable[Any] = ()
    retry: Retry = None
    tasks_per_generation: int = 200
    events: bool = True
    updates: bool = False
    agent_mode: AgentMode = "turn"
    model_retry: RetryPolicy | None = MODEL_RETRY
    tool_retry: Retry = None
    human: HumanPolicy | None = None
