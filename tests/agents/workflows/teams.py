"""Workflows that the framework's builders make of agents: sequences, groups, handoffs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent_framework import AgentExecutorResponse, Content, Message, Workflow
from agent_framework_orchestrations import (
    AgentRequestInfoResponse,
    ConcurrentBuilder,
    GroupChatBuilder,
    GroupChatState,
    HandoffAgentUserRequest,
    HandoffBuilder,
    MagenticBuilder,
    MagenticPlanReviewResponse,
    SequentialBuilder,
)

from tests.agents.workflows.corpus import Example
from tests.agents.workflows.scripted import agent

Messages = Sequence[Message]
Requests = list[tuple[str, Any]]


def sequence() -> Workflow:
    people = [agent("a"), agent("b")]
    return SequentialBuilder(
        name="sequence", participants=people, output_from=["b"], intermediate_output_from="all_other"
    ).build()


def reviewed_sequence() -> Workflow:
    """After the first agent a person may add something, and the agent is asked again."""
    builder = SequentialBuilder(name="reviewed-sequence", participants=[agent("a"), agent("b")])
    return builder.with_request_info(agents=["a"]).build()


def two_rounds_of_review() -> Callable[[Requests], Requests]:
    rounds = []

    def answers(requests: Requests) -> Requests:
        (request_id, _), *_ = requests
        rounds.append(request_id)
        more = AgentRequestInfoResponse.from_strings(["be brief"])
        return [(request_id, more if len(rounds) == 1 else AgentRequestInfoResponse.approve())]

    return answers


def concurrent() -> Workflow:
    return ConcurrentBuilder(name="concurrent", participants=[agent("a"), agent("b"), agent("c")]).build()


def aggregated() -> Workflow:
    async def gather(results: list[AgentExecutorResponse]) -> list[str]:
        return [f"{each.executor_id}: {each.agent_response.text}" for each in results]

    builder = ConcurrentBuilder(name="aggregated", participants=[agent("a"), agent("b")])
    return builder.with_aggregator(gather).build()


def group_chat() -> Workflow:
    def select(state: GroupChatState) -> str:
        return list(state.participants)[state.current_round % len(state.participants)]

    people = [agent("a"), agent("b")]
    return GroupChatBuilder(name="group-chat", participants=people, selection_func=select, max_rounds=4).build()


def led_group_chat() -> Workflow:
    """An agent chooses who speaks next, and remembers it in a session of its own."""

    def lead(messages: Messages, _: Mapping[str, Any]) -> str:
        spoken = [each.text[0] for each in messages if each.text[1:].startswith(" heard ")]
        choice = {
            "terminate": len(spoken) > 2,
            "reason": f"{len(messages)} messages",
            "next_speaker": "ab"[len(spoken) % 2],
        }
        return json.dumps(choice | {"final_message": f"done after {spoken}" if len(spoken) > 2 else None})

    people = [agent("a"), agent("b")]
    return GroupChatBuilder(name="led-group-chat", participants=people, orchestrator_agent=agent("lead", lead)).build()


def _handing_to(name: str, target: str) -> Callable[[Messages, Mapping[str, Any]], str | Content]:
    """Hand over to the target the first time, then talk."""

    def script(messages: Messages, _: Mapping[str, Any]) -> str | Content:
        said = [each.text for each in messages if each.role == "user"]
        if said[-1].endswith(target) and messages[-1].role == "user":
            return Content.from_function_call(f"call-{name}-{len(messages)}", f"handoff_to_{target}", arguments={})
        return f"{name} heard {said}"

    return script


def handoff() -> Workflow:
    # handoffs are calls of tools, which the framework wants kept in its own history
    options = {"require_per_service_call_history_persistence": True}
    triage = agent("triage", _handing_to("triage", "refunds"), **options)
    refunds = agent("refunds", _handing_to("refunds", "triage"), **options)
    builder = HandoffBuilder(
        name="handoff",
        participants=[triage, refunds],
        termination_condition=lambda conversation: sum(each.role == "user" for each in conversation) > 4,
    )
    return builder.with_start_agent(triage).add_handoff(triage, [refunds]).add_handoff(refunds, [triage]).build()


def talk() -> Callable[[Requests], Requests]:
    lines = iter(["to refunds", "so what", "back to triage", "and now", "enough"])

    def answers(requests: Requests) -> Requests:
        return [(request_id, HandoffAgentUserRequest.create_response(next(lines))) for request_id, _ in requests]

    return answers


def _manage(messages: Messages, _: Mapping[str, Any]) -> str:
    spoken = [each.author_name for each in messages if each.author_name in ("a", "b")]
    if "json" not in messages[-1].text.lower():
        return f"thought {len(messages)} {re.sub(r'[^a-z]', '', messages[-1].text.lower())[:20]}"
    entry = {"is_request_satisfied": len(spoken) > 2, "is_in_loop": False, "is_progress_being_made": True}
    entry |= {"next_speaker": "ab"[len(spoken) % 2], "instruction_or_question": f"go on after {len(spoken)}"}
    return json.dumps({key: {"reason": "so", "answer": value} for key, value in entry.items()})


def magentic() -> Workflow:
    """The manager keeps a ledger in an object of its own; people approve its plan."""
    return MagenticBuilder(
        name="magentic",
        participants=[agent("a"), agent("b")],
        manager_agent=agent("manager", _manage),
        enable_plan_review=True,
    ).build()


def approve_plan(requests: Requests) -> Requests:
    return [(request_id, MagenticPlanReviewResponse.approve()) for request_id, _ in requests]


def _messages_json(answer: Any) -> Any:
    if isinstance(answer, list):
        return [each.to_dict() for each in answer]
    return (
        {name: _messages_json(value) for name, value in vars(answer).items()} if hasattr(answer, "__dict__") else answer
    )


TEAMS = {
    "sequence": lambda: Example(sequence),
    "reviewed-sequence": lambda: Example(reviewed_sequence, answers=two_rounds_of_review(), as_json=_messages_json),
    "concurrent": lambda: Example(concurrent),
    "aggregated": lambda: Example(aggregated),
    "group-chat": lambda: Example(group_chat),
    "led-group-chat": lambda: Example(led_group_chat),
    "handoff": lambda: Example(handoff, answers=talk(), as_json=_messages_json),
    "magentic": lambda: Example(magentic, answers=approve_plan, as_json=_messages_json),
}
"""Made anew for each run: whoever answers remembers what has been said."""
