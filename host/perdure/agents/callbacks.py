"""What an app may be told while an agent works; the names are the Agent Framework's."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

_log = logging.getLogger("perdure.agents")


@dataclass(frozen=True, slots=True)
class AgentCallbackContext:
    """Which turn a callback is about."""

    agent_name: str
    correlation_id: str
    session_id: str
    request_message: str

    @property
    def thread_id(self) -> str:
        """The older name of `session_id`."""
        return self.session_id


class AgentResponseCallbackProtocol(Protocol):
    """Is told of an agent's answers, at least once each: a step that is run again tells again."""

    async def on_streaming_response_update(self, update: Any, context: AgentCallbackContext) -> None:
        """Told of each piece of an answer (an AgentResponseUpdate) as it comes."""

    async def on_agent_response(self, response: Any, context: AgentCallbackContext) -> None:
        """Told of each whole answer (an AgentResponse) of the model."""


class Telling:
    """Calls a callback; an error of its own is logged and does not fail the turn.

    Args:
        callback: what to call; None calls nothing.
        context: which turn it is.
    """

    def __init__(self, callback: AgentResponseCallbackProtocol | None, context: AgentCallbackContext) -> None:
        self._callback = callback
        self._context = context

    async def update(self, update: Any) -> None:
        """Tell of a piece of an answer."""
        if self._callback is not None:
            await self._tell(self._callback.on_streaming_response_update, update)

    async def response(self, response: Any) -> None:
        """Tell of a whole answer."""
        if self._callback is not None:
            await self._tell(self._callback.on_agent_response, response)

    async def _tell(self, method: Any, what: Any) -> None:
        try:
            outcome = method(what, self._context)
            if outcome is not None:
                await outcome
        except Exception:  # noqa: BLE001 - the app's code; logged, and no reason to fail a turn that is paid for
            _log.exception("the callback of agent '%s' failed", self._context.agent_name)
