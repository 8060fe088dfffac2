"""What an agent is told when it is made durable, checked then: a turn that is paid for is too late."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from perdure.agents.errors import AgentError
from perdure.agents.human import HumanPolicy
from perdure.core.retry import RetryPolicy


def checked_agent(agent: Any, name: str | None) -> Any:
    """Return the agent. Raises AgentError if it has not the framework's agent protocol."""
    if isinstance(agent, type) or not callable(getattr(agent, "run", None)):
        called = f" (for the name '{name}')" if name else ""
        raise AgentError(
            f"{agent!r}{called} is no agent, which has a `name` and a method `run`: `as_agent` makes one of an async "
            f"function, or of an object with `ainvoke`"
        )
    return agent


def check_options(agent: str, options: Mapping[str, Any]) -> None:
    """Check options of `DurableAgentDefinition`.

    Args:
        agent: the agent's name.
        options: by name.

    Raises:
        AgentError: a value makes no sense.
    """
    for name, value in options.items():
        told = _CHECKS[name](value)
        if told:
            raise AgentError(f"agent '{agent}': {name} {told}, not {value!r}")


def _time(value: Any) -> str:
    good = value is None or (isinstance(value, timedelta) and value > timedelta(0))
    return "" if good else "is a positive timedelta, or None"


def _size(value: Any) -> str:
    good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return "" if good else "is a positive whole number"


def _retry(value: Any) -> str:
    return "" if value is None or isinstance(value, RetryPolicy) else "is a RetryPolicy, or None"


def _retries(value: Any) -> str:
    policies = value.values() if isinstance(value, Mapping) else [value]
    good = value is None or all(isinstance(each, RetryPolicy) for each in policies)
    return "" if good else "is a RetryPolicy, a RetryPolicy by each tool's name, or None"


def _human(value: Any) -> str:
    return "" if value is None or isinstance(value, HumanPolicy) else "is a HumanPolicy, or None"


def _function(value: Any) -> str:
    return "" if value is None or callable(value) else "is a function, or None"


def _callback(value: Any) -> str:
    named = ("on_streaming_response_update", "on_agent_response")
    good = value is None or all(callable(getattr(value, each, None)) for each in named)
    return "" if good else "has `on_streaming_response_update` and `on_agent_response`"


_CHECKS = {
    "expires_after": _time,
    "max_transcript_bytes": _size,
    "model_retry": _retry,
    "tool_retry": _retries,
    "human": _human,
    "compaction": _function,
    "callback": _callback,
}
