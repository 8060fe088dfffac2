"""A durable agent: an agent, how its turns run, and the functions that a hub needs for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Literal

from agent_framework import AgentSession, Content, FunctionTool, RawAgent

from perdure.agents.agent_options import check_options, checked_agent
from perdure.agents.answers import settle
from perdure.agents.callbacks import AgentCallbackContext, AgentResponseCallbackProtocol, Telling
from perdure.agents.claims import claim
from perdure.agents.errors import AgentError
from perdure.agents.framework_agents import LoopLimits, call_tool, keeps_own_history
from perdure.agents.human import HumanPolicy
from perdure.agents.keeping import keeping
from perdure.agents.messages import all_dumped, all_loaded, fitting, said_in
from perdure.agents.model_step import Asked, one_step, whole_turn
from perdure.agents.naming import checked_agent_name, entity_name, model_name, session_entity_id, tool_name, turn_name
from perdure.agents.requests import RunRequest
from perdure.agents.retries import MODEL_RETRY, Retry, policy_of
from perdure.agents.session_entity import Compaction, SessionEntity
from perdure.agents.session_state import SessionState
from perdure.agents.sessions import STREAM, AgentSessions
from perdure.agents.special_tools import is_special
from perdure.agents.turn import Turn
from perdure.client.client import Client
from perdure.core.context import OrchestrationContext
from perdure.core.entities.performing import EntityDefinition
from perdure.core.entity_id import EntityId
from perdure.core.retry import RetryPolicy
from perdure.engine.registry import Registry, activity_context
from perdure.streaming.writer import StreamWriter

Mode = Literal["turn", "steps"]
"""`turn`: a whole turn is one checkpoint. `steps`: every call of the model and of a tool is one."""

EXPIRES_AFTER = timedelta(days=14)
TRANSCRIPT_LIMIT = 1024 * 1024

GetClient = Callable[[], Awaitable[Client]]


class DurableAgentDefinition:
    """An agent, made durable.

    Args:
        agent: any object with the Agent Framework's agent protocol.
        client: returns the hub's client, with which activities read sessions.
        name: what it is called; by default the agent's own name.
        mode: `turn` or `steps`; the latter needs an `Agent` of the framework.
        model_retry: how a failed call of the model (in mode `turn`, a failed turn) is tried again; by default three
            attempts, two and four seconds apart.
        tool_retry: how a failed tool call is tried again, for all tools or by the tool's name; by default it is not:
            the model is told that it failed. Mode `steps`.
        human: how people are waited for. Mode `steps`.
        callback: is told of answers as they come.
        expires_after: a session that is left alone for so long is deleted; None keeps it for ever. 14 days by default.
        max_transcript_bytes: largest transcript; its oldest turns are dropped. 1 MiB by default.
        compaction: makes the transcript shorter after each turn: a function from messages to messages, async or not.

    Raises:
        AgentError: this is no agent, it has no proper name, can't run in this mode, or an option makes no sense.
    """

    def __init__(
        self,
        agent: Any,
        client: GetClient,
        *,
        name: str | None = None,
        mode: Mode = "turn",
        model_retry: RetryPolicy | None = MODEL_RETRY,
        tool_retry: Retry = None,
        human: HumanPolicy | None = None,
        callback: AgentResponseCallbackProtocol | None = None,
        expires_after: timedelta | None = EXPIRES_AFTER,
        max_transcript_bytes: int = TRANSCRIPT_LIMIT,
        compaction: Compaction | None = None,
    ) -> None:
        self.agent = checked_agent(agent, name)
        self.name = checked_agent_name(getattr(agent, "name", None) if name is None else name)
        options = {
            "model_retry": model_retry,
            "tool_retry": tool_retry,
            "human": human,
            "callback": callback,
            "expires_after": expires_after,
            "max_transcript_bytes": max_transcript_bytes,
            "compaction": compaction,
        }
        check_options(self.name, options)
        self.mode = _checked_mode(agent, mode, self.name)
        self.model_retry = model_retry
        self.human = human or HumanPolicy()
        self.callback = callback
        self.expires_after = expires_after
        self.model_activity = model_name(self.name)
        self.tool_activity = tool_name(self.name)
        self.limits = LoopLimits.of(agent) if isinstance(agent, RawAgent) else LoopLimits(1, 1, detailed_errors=False)
        self._client = client
        self._tool_retry = tool_retry
        self.entity = SessionEntity(self.name, max_transcript_bytes, compaction)

    def retry_of_tool(self, tool: str) -> RetryPolicy | None:
        """How a failed call of this tool is tried again."""
        return policy_of(self._tool_retry, tool)

    def sessions(self, client: Client) -> AgentSessions:
        """Return the agent's sessions, as a client sees them."""
        return AgentSessions(self.name, client)

    def register(self, registry: Registry) -> None:
        """Add the agent's functions to those of an app. Raises AgentError if a workflow or agent has their names."""
        self.claim_names(registry)
        registry.orchestrators.add(turn_name(self.name), self.run_turn)
        registry.activities.add(self.model_activity, self.ask_model)
        registry.activities.add(self.tool_activity, self.run_tool)
        sessions = EntityDefinition(self.entity.perform, self.expires_after, self.before_expiry)
        registry.entities.add(entity_name(self.name), sessions)

    def claim_names(self, owner: Any) -> None:
        """Claim the names of the agent's functions in an app or registry.

        Raises:
            AgentError: a workflow or another agent has one of them.
        """
        names = [("orchestrator", turn_name(self.name))]
        names += [("activity", self.model_activity), ("activity", self.tool_activity)]
        for kind, name in names:
            problem = claim(owner, kind, name, f"agent '{self.name}'")
            if problem is not None:
                raise AgentError(f"{problem}: rename one of them (upper and lower case are the same)")

    # ---- the functions ---------------------------------------------------------------------------------------------

    def run_turn(self, context: OrchestrationContext) -> Generator[Any, Any, Any]:
        """The orchestrator of a turn: `{"sessionId": ..., "request": ...}` in, the turn's result out."""
        given = context.get_input()
        request = RunRequest.model_validate(given["request"])
        return (yield from Turn(self, context, given["sessionId"], request).run())

    async def before_expiry(self, entity: EntityId) -> bool:
        """Delete turns of a session that is about to expire, as many as can be in one go; return whether all are gone.

        Args:
            entity: the session's.
        """
        return await self.sessions(await self._client()).purge_turns(entity.key)

    async def ask_model(self, work: dict[str, Any]) -> dict[str, Any]:
        """The activity that lets the agent answer: with one call of its model, or all at once.

        What it says goes to the turn's stream as it comes. The whole answer is stored there, too: should this process
        die before the answer is part of the turn's history, the model is not paid for it again.
        """
        async with activity_context().stream(STREAM) as stream:
            if stream.finished:
                return dict(stream.result)
            state = await self._state(work["sessionId"])
            known = state.results.get(work["correlationId"]) if work["step"] == 0 else None
            if known is not None and known["status"] == "success":
                return {"recorded": known}
            answer = await self._answer(work, state, stream)
            with keeping(f"agent '{self.name}' answered"):
                if answer["calls"] and work["mayCallTools"]:
                    return dict(await stream.complete(answer))
                await stream.finish(answer, told={"correlation_id": work["correlationId"], "response": answer["text"]})
                return dict(stream.result or answer)

    async def _answer(self, work: dict[str, Any], state: SessionState, stream: StreamWriter) -> dict[str, Any]:
        about = AgentCallbackContext(self.name, work["correlationId"], work["sessionId"], work["shown"])
        telling = Telling(self.callback, about)

        async def on_update(update: Any) -> None:
            with keeping(f"agent '{self.name}' answered"):
                for said in said_in(update):
                    await stream.write(said, "update")
            await telling.update(update)

        asked = Asked(
            transcript=all_loaded(state.messages),
            said=all_loaded(work["said"]),
            session_key=work["sessionId"],
            session=state.session if work["step"] == 0 else work["session"],
            options=_options(work),
        )
        ask = one_step if self.mode == "steps" else whole_turn
        reply = await ask(self.agent, asked, on_update)
        await telling.response(reply.response)
        with keeping(f"agent '{self.name}' answered"):
            return {
                "messages": all_dumped(reply.response.messages),
                "text": reply.response.text,
                "usage": dict(reply.response.usage_details) if reply.response.usage_details else None,
                "session": None if reply.session is None else reply.session.to_dict(),
                "calls": reply.calls,
                "human": self.human.to_json(),
                "closes": True,
                "limits": asdict(self.limits),
            }

    async def run_tool(self, work: dict[str, Any]) -> dict[str, Any]:
        """The activity that runs a tool call; its result is kept as that of the model is. It also ends a request whose
        time is over, and returns the answer if one was accepted before.
        """
        if "close" in work:
            return await self._close(work["close"])
        plan, kept = work["call"], work["session"]
        async with activity_context().stream(STREAM) as stream:
            if stream.finished:
                return dict(stream.result)
            session = AgentSession(session_id=work["sessionId"]) if kept is None else AgentSession.from_dict(kept)
            call = Content.from_function_call(call_id=plan["callId"], name=plan["name"], arguments=plan["arguments"])
            outcome = await call_tool(self.agent, call, session)
            result = {"type": "function_result", "call_id": plan["callId"], "result": outcome.result}
            if outcome.exception is not None:
                result["exception"] = str(outcome.exception)
            with keeping(f"tool '{plan['name']}' returned"):
                await stream.write(fitting({"name": plan["name"], **result}), "tool_result")
                return dict(await stream.complete(result))

    async def _close(self, request_id: str) -> dict[str, Any]:
        settled = await settle(await self._client(), activity_context().instance_id, request_id, None)
        return {"answer": settled.answer}

    async def _state(self, session: str) -> SessionState:
        client = await self._client()
        return SessionState.read((await client.read_entity_state(session_entity_id(self.name, session))).entity_state)


def _checked_mode(agent: Any, mode: str, name: str) -> Mode:
    if mode == "turn":
        _refuse_special_tools(agent, name)
        return "turn"
    if mode != "steps":
        raise AgentError(f"agent '{name}': its mode is 'turn' or 'steps', not {mode!r}")
    if not isinstance(agent, RawAgent):
        raise AgentError(
            f"agent '{name}': mode 'steps' needs an Agent of the Agent Framework, whose model and tools can be called "
            f"one by one; a {type(agent).__name__} runs in mode 'turn'"
        )
    if keeps_own_history(agent):
        raise AgentError(
            f"agent '{name}': in mode 'steps' the session keeps the history; remove the agent's history provider, or "
            f"use mode 'turn'"
        )
    return "steps"


def _refuse_special_tools(agent: Any, name: str) -> None:
    """The framework leaves them to the caller: the turn would end with nothing said."""
    tools = agent.default_options.get("tools") if isinstance(agent, RawAgent) else None
    for tool in tools or ():
        if isinstance(tool, FunctionTool) and is_special(tool):
            raise AgentError(f"agent '{name}': tool '{tool.name}' works in mode 'steps' only, and its mode is 'turn'")


def _options(work: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = dict(work["options"])
    schema = work["responseFormat"]
    if schema is not None:
        options["response_format"] = _as_response_format(schema)
    if not work["mayCallTools"]:
        options["tool_choice"] = "none"
    return options


def _as_response_format(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what models' services take; what already is that stays."""
    if "json_schema" in schema or schema.get("type") in ("json_schema", "json_object", "text"):
        return schema
    name = str(schema.get("title") or "response")
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}
