"""One call of an agent's model, or a whole turn at once: the work of an activity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from agent_framework import AgentResponse, AgentSession, Content, FunctionTool, Message, RawAgent

from perdure.agents.errors import AgentError, UnusableAnswer
from perdure.agents.framework_agents import ToolsOffered, surviving_its_tools, unmark_calls, with_transcript
from perdure.agents.special_tools import asks_human, orchestration_of


@dataclass(frozen=True, slots=True)
class Reply:
    """What an agent has answered."""

    response: AgentResponse[Any]
    session: AgentSession | None
    """The session afterwards; None for agents that have none."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    """Tool calls that are left to do, and what kind of tool each is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an agent is asked."""

    transcript: Sequence[Message]
    """The conversation before this turn."""
    said: Sequence[Message]
    """This turn so far: the request, then answers and results of tools."""
    session_key: str
    session: dict[str, Any] | None
    options: dict[str, Any]


OnUpdate = Callable[[Any], Awaitable[None]]
"""Called with each AgentResponseUpdate."""


async def whole_turn(agent: Any, asked: Asked, on_update: OnUpdate) -> Reply:
    """Have the agent answer, tools and all."""
    if not isinstance(agent, RawAgent):
        response = await _run(agent, [*asked.transcript, *asked.said], on_update, options=asked.options)
        return Reply(response, None)
    session = _session(asked)
    copied = with_transcript(agent, _remembered(asked, session))
    copied = surviving_its_tools(copied)
    response = await _run(copied, list(asked.said), on_update, session=session, options=asked.options)
    return Reply(response, session)


async def one_step(agent: RawAgent[Any], asked: Asked, on_update: OnUpdate) -> Reply:
    """Call the agent's model once; the tools that it asks for are left to the caller."""
    session = _session(asked)
    copied = with_transcript(agent, _remembered(asked, session))
    offered = ToolsOffered(copied)
    said = _unsaid(asked.said) if session.service_session_id else list(asked.said)
    response = await _run(copied, said, on_update, session=session, options=asked.options)
    asked_for = [
        part
        for message in response.messages
        for part in message.contents
        if part.type == "function_call" and not part.hosted
    ]
    unmark_calls(asked_for)
    _tell_apart(asked_for)
    calls = [_planned(part, offered.tools.get(part.name or "")) for part in asked_for]
    return Reply(response, session, calls)


def _tell_apart(calls: Sequence[Content]) -> None:
    """Give an id of its own to each call that has none: without it, its result would be taken for another's."""
    known: set[str] = set()
    for call in calls:
        if not call.call_id or call.call_id in known:
            call.call_id = f"call-{uuid4().hex}"
        known.add(call.call_id)


def _planned(call: Content, tool: FunctionTool | None) -> dict[str, Any]:
    plan: dict[str, Any] = {"callId": call.call_id, "name": call.name, "arguments": call.arguments, "kind": "tool"}
    if tool is not None and tool.approval_mode == "always_require":
        plan["approval"] = True
    if tool is None or not tool.declaration_only:
        return plan
    orchestration = orchestration_of(tool)
    if orchestration is not None:
        return plan | {"kind": "orchestration", "orchestration": orchestration, "arguments": call.parse_arguments()}
    return plan | {"kind": "human" if asks_human(tool) else "caller"}


async def _run(agent: Any, messages: list[Message], on_update: OnUpdate, **others: Any) -> AgentResponse[Any]:
    """Run an agent, streaming where it can; the protocol leaves open whether `run` is a coroutine function."""
    given = {key: value for key, value in others.items() if value}
    outcome = agent.run(messages, stream=True, **given)
    if hasattr(outcome, "__await__") and not hasattr(outcome, "__aiter__"):
        outcome = await outcome
    if hasattr(outcome, "__aiter__"):
        updates = []
        async for update in outcome:
            updates.append(update)
            await on_update(update)
        finish = getattr(outcome, "get_final_response", None)
        outcome = await finish() if finish is not None else AgentResponse.from_updates(updates)
    if not isinstance(outcome, AgentResponse):
        raise UnusableAnswer(f"agent '{agent.name}' answered {type(outcome).__name__}, and no AgentResponse")
    if not outcome.messages:
        raise AgentError(f"agent '{agent.name}' answered nothing at all: its reply has no message")
    return outcome


def _session(asked: Asked) -> AgentSession:
    if asked.session is None:
        return AgentSession(session_id=asked.session_key)
    return AgentSession.from_dict(dict(asked.session))


def _remembered(asked: Asked, session: AgentSession) -> Sequence[Message]:
    """Return the transcript, unless the model's service remembers it."""
    return () if session.service_session_id else asked.transcript


def _unsaid(said: Sequence[Message]) -> list[Message]:
    """Return what came after the model's last answer: its service remembers the rest."""
    last = max((number for number, message in enumerate(said) if message.role == "assistant"), default=-1)
    return list(said[last + 1 :])
