"""The entity of a session: what it keeps of finished turns, and how it forgets."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from agent_framework import Message

from perdure.agents.messages import all_dumped, all_loaded
from perdure.agents.naming import checked_session_key, turn_id, turn_name
from perdure.agents.requests import RunRequest
from perdure.agents.session_state import SessionState
from perdure.core.entities.context import DurableEntityContext

_log = logging.getLogger("perdure.agents")

Compaction = Callable[[list[Message]], list[Message] | Awaitable[list[Message]]]
"""Makes a transcript shorter after each turn."""


class SessionEntity:
    """Performs the operations of an agent's sessions.

    Args:
        agent: the agent's name.
        limit: largest transcript, in bytes of JSON.
        compaction: makes transcripts shorter, if there is such a function.
    """

    def __init__(self, agent: str, limit: int, compaction: Compaction | None) -> None:
        self._agent = agent
        self._limit = limit
        self._compaction = compaction

    async def perform(self, context: DurableEntityContext) -> Any:
        """Perform an operation: `run` (also `run_agent`), `record`, `reset` or `delete`.

        Raises:
            ValueError: there is no such operation.
        """
        match context.operation_name.lower():
            case "run" | "run_agent":
                return self._start(context)
            case "record":
                return await self._record(context)
            case "reset" | "delete":
                context.destruct_on_exit()
                return None
            case other:
                raise ValueError(f"agent '{self._agent}' has the operations run and reset, and no '{other}'")

    def _start(self, context: DurableEntityContext) -> str:
        """Start a turn: what other hosts' clients signal."""
        request = RunRequest.model_validate(context.get_input())
        return context.start_new_orchestration(
            turn_name(self._agent),
            {"sessionId": context.entity_key, "request": request.to_json()},
            turn_id(self._agent, checked_session_key(context.entity_key), request.correlation_id),
        )

    async def _record(self, context: DurableEntityContext) -> int:
        """Take the result of a turn in; return how many messages the transcript has."""
        record = context.get_input()
        correlation, result = record["correlationId"], record["result"]
        state = SessionState.read(context.get_state())
        if result["status"] == "success":
            for messages, moment in ((record["said"], "startedAt"), (result["messages"], "completedAt")):
                stamp = {"correlationId": correlation, "createdAt": result[moment]}
                state.messages += [stamp | message for message in messages]
            state.session = record["session"]
            state.turns += 1
            await self._shorten(state)
        state.remember(correlation, result | {"message_count": len(state.messages)}, self._limit)
        context.set_state(state.to_json())
        return len(state.messages)

    async def _compacted(self, messages: list[Message]) -> list[Message]:
        """Return what the app's function makes of a transcript. A turn is not lost because that fails."""
        assert self._compaction is not None  # noqa: S101 - narrowed by the caller
        try:
            shorter = self._compaction(list(messages))
            return await shorter if inspect.isawaitable(shorter) else shorter
        except Exception:  # noqa: BLE001 - the app's code; logged, and no reason to lose a turn that is paid for
            _log.exception("agent '%s': its transcript stays as it is, since its compaction failed", self._agent)
            return messages

    async def _shorten(self, state: SessionState) -> None:
        if self._compaction is not None:
            messages = all_loaded(state.messages)
            known = {id(message): stored for message, stored in zip(messages, state.messages, strict=True)}
            shorter = await self._compacted(messages)
            kept = [known.get(id(message)) or all_dumped([message])[0] for message in shorter]
            state.dropped += max(len(state.messages) - len(kept), 0)
            state.messages = kept
        state.trim(self._limit)
