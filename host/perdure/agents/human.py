"""People in an agent's loop: calls that need approval, and questions. A turn waits for them without a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from perdure.agents.errors import AgentError

_LIMIT = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanPolicy:
    """How long people are waited for, who is asked next, and what holds if nobody answers.

    Args:
        timeout: how long each of them has; None waits for ever.
        ask: who is asked first, then to whom it is escalated, one after the other: names that the request shows. An
            empty list asks whoever looks.
        on_timeout: `reject` tells the model that the call was not approved, `fail` fails the turn.
    """

    timeout: timedelta | None = None
    ask: Sequence[str] = ()
    on_timeout: Literal["reject", "fail"] = "reject"

    def __post_init__(self) -> None:
        if self.timeout is not None and self.timeout <= timedelta(0):
            raise AgentError(f"the timeout of a HumanPolicy must be more than zero, not {self.timeout}")
        if isinstance(self.ask, str):
            raise AgentError("`ask` of a HumanPolicy is a list of names")
        if len(self.ask) > 1 and self.timeout is None:
            raise AgentError("a HumanPolicy that escalates needs a timeout")
        if self.on_timeout not in ("reject", "fail"):
            raise AgentError(f"on_timeout is 'reject' or 'fail', not {self.on_timeout!r}")

    def to_json(self) -> dict[str, Any]:
        """Return its JSON form."""
        seconds = None if self.timeout is None else self.timeout.total_seconds()
        return {"timeout": seconds, "ask": list(self.ask), "onTimeout": self.on_timeout}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> HumanPolicy:
        """Return the policy that `to_json` wrote."""
        seconds = stored["timeout"]
        timeout = None if seconds is None else timedelta(seconds=seconds)
        return cls(timeout=timeout, ask=stored["ask"], on_timeout=stored["onTimeout"])


def event_name(request_id: str) -> str:
    """Name of the external event that answers a request."""
    return f"answer-{request_id}"


def pending(
    plan: dict[str, Any], request_id: str, now: datetime, policy: HumanPolicy, escalated: int
) -> dict[str, Any]:
    """Return how a request that waits for somebody is shown in the turn's status.

    Args:
        plan: the tool call.
        request_id: the request's id.
        now: when it is asked.
        policy: how people are waited for.
        escalated: how often it has been passed on.
    """
    shown: dict[str, Any] = {
        "requestId": request_id,
        "kind": "question" if plan["kind"] == "human" else "approval",
        "tool": plan["name"],
        "arguments": plan["arguments"],
        "askedAt": now.isoformat(),
        "escalated": escalated,
    }
    if policy.ask:
        shown["asks"] = policy.ask[min(escalated, len(policy.ask) - 1)]
    if policy.timeout is not None:
        shown["expiresAt"] = (now + policy.timeout).isoformat()
    return shown


def checked_answer(kind: str, body: Any) -> dict[str, Any]:
    """Return an answer as the turn takes it.

    Raises:
        AgentError: it is none: an approval is `{"approved": true or false, "reason": text}`, an answer to a question
            `{"answer": text}`.
    """
    if not isinstance(body, dict):
        raise AgentError("an answer is a JSON object")
    wanted = ("approved", bool) if kind == "approval" else ("answer", str)
    if not isinstance(body.get(wanted[0]), wanted[1]):
        what = '{"approved": true or false}' if kind == "approval" else '{"answer": "text"}'
        raise AgentError(f"this request is answered with {what}, and `reason` and `by` if you like")
    answer = {key: body[key] for key in (wanted[0], "reason", "by") if body.get(key) is not None}
    for key, value in answer.items():
        if key != "approved" and (not isinstance(value, str) or len(value) > _LIMIT):
            raise AgentError(f"`{key}` is a text of at most {_LIMIT:,} characters")
    return answer
