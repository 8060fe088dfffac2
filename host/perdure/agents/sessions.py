"""An agent's sessions from outside: start turns, look at them, answer what they ask, read and forget sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any

from perdure.agents.answers import settle, settled
from perdure.agents.errors import AgentError
from perdure.agents.human import checked_answer, event_name
from perdure.agents.naming import (
    checked_correlation,
    checked_session_key,
    session_entity_id,
    turn_id,
    turn_name,
    turn_parts,
    turn_prefix,
)
from perdure.agents.requests import RunRequest
from perdure.agents.session_state import SessionState
from perdure.client.client import Client
from perdure.client.reuse import ReuseId
from perdure.client.status import DurableOrchestrationStatus
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.errors import InstanceEndedError, InstanceExistsError, InstanceNotEndedError, InstanceNotFoundError
from perdure.storage.rows import InstanceQuery

_OPEN = [status for status in OrchestrationRuntimeStatus if status not in ENDED]
_PAGE = 100
PURGED_AT_ONCE = 100
"""Turns of a session that expires; they are purged before anything else can be asked of it."""

STREAM = "answer"
"""Name of a turn's stream: events `update`, `tool_result`, and those of every stream."""


class UnknownTurn(AgentError):
    """There is no such turn, or no such request in it."""


class UnknownSession(AgentError):
    """There is no such session."""


class AlreadyAnswered(AgentError):
    """The request does not wait for an answer any more."""


class AgentSessions:
    """The sessions of one agent.

    Args:
        agent: the agent's name.
        client: the hub's client.
    """

    def __init__(self, agent: str, client: Client) -> None:
        self._agent = agent
        self._client = client

    async def start(self, session: str, request: RunRequest) -> str:
        """Start a turn and return its instance id; a turn of the same correlation id is left as it is.

        Raises:
            AgentError: the session's id can't be one.
        """
        instance_id = turn_id(self._agent, checked_session_key(session), request.correlation_id)
        work = {"sessionId": session, "request": request.to_json()}
        try:
            await self._client.start_new(turn_name(self._agent), instance_id, work, reuse=ReuseId.NEVER)
        except InstanceExistsError:
            return instance_id
        return instance_id

    async def result(self, session: str, correlation: str, *, wait: float = 0) -> dict[str, Any]:
        """Return how a turn stands: its result, or `status` running, waiting (for people; `pending` says for what),
        failed or canceled.

        Args:
            session: key of the session.
            correlation: the turn's correlation id.
            wait: seconds to wait for the turn's end at most. People are not waited for.

        Raises:
            UnknownTurn: there is none.
        """
        instance_id = turn_id(self._agent, session, checked_correlation(correlation))
        deadline = asyncio.get_running_loop().time() + wait
        while True:
            status = await self._client.get_status(instance_id, show_input=True)
            if not status:
                return await self._remembered(session, correlation)
            left = deadline - asyncio.get_running_loop().time()
            if status.runtime_status in ENDED or left <= 0 or _pending(status):
                return self._described(session, correlation, status)
            try:
                await self._client.wait_for_completion(instance_id, min(left, 1))
            except (TimeoutError, InstanceNotFoundError):
                continue

    async def transcript(self, session: str) -> SessionState:
        """Return what is kept of a session.

        Raises:
            UnknownSession: there is none.
        """
        found = await self._client.read_entity_state(session_entity_id(self._agent, checked_session_key(session)))
        if not found:
            raise UnknownSession(f"agent '{self._agent}' has no session '{session}'")
        return SessionState.read(found.entity_state)

    async def overview(self, session: str) -> tuple[SessionState, str | None]:
        """Return what is kept of a session, and the correlation id of the turn that runs.

        Raises:
            UnknownSession: there is none, and none begins.
        """
        running = await self._running(session)
        try:
            state = await self.transcript(session)
        except UnknownSession:
            running = running or await self._accepted(session)
            if running is None:
                raise
            return SessionState(), running
        return state, None if running in state.results else running  # its lock goes a moment after it has ended

    async def latest_turn(self, session: str) -> str:
        """Return the instance id of the turn that runs, or else of the last one that ended.

        Raises:
            UnknownSession: the session has had none.
        """
        running = await self._running(session)
        if running is None:
            state, running = await self.overview(session)
            running = next(reversed(state.results), running)
        if running is None:
            raise UnknownSession(f"session '{session}' of agent '{self._agent}' has had no turn")
        return turn_id(self._agent, session, running)

    async def turn_of(self, session: str, correlation: str | None, cursor: str | None) -> str:
        """Return the instance id of the turn whose stream a reader means.

        Args:
            session: key of the session.
            correlation: the turn's correlation id, if the reader says so; by default the latest turn is meant.
            cursor: where the reader goes on, which may be in an earlier turn.

        Raises:
            UnknownSession: the session has had no turn.
            UnknownTurn: the cursor is of none that the session remembers.
            ValueError: the cursor is none.
        """
        if correlation is not None:
            return turn_id(self._agent, checked_session_key(session), checked_correlation(correlation))
        latest = await self.latest_turn(session)
        if cursor is None or await self._is_in(latest, cursor):
            return latest
        for earlier in reversed((await self.transcript(session)).results):
            turn = turn_id(self._agent, session, earlier)
            if await self._is_in(turn, cursor):
                return turn
        raise UnknownTurn(f"session '{session}' of agent '{self._agent}' remembers no turn with the cursor {cursor!r}")

    async def _is_in(self, turn: str, cursor: str) -> bool:
        page = await self._client.read_stream(turn, STREAM, cursor=cursor, limit=1)
        return not (page.ended and any(item.data.get("status") == "deleted" for item in page.items))

    async def forget(self, session: str) -> bool:
        """Delete a session: turns that run are terminated, its turns and its entity are deleted.

        Returns:
            Whether there is nothing left of it: if not, it is being deleted. Call it again.
        """
        prefix = turn_prefix(self._agent, checked_session_key(session))
        async for turn in self._of_session(prefix, _OPEN):
            try:
                await self._client.terminate(str(turn.instance_id), "the session is deleted")
            except (InstanceEndedError, InstanceNotFoundError):
                continue
        entity = session_entity_id(self._agent, session)
        if await self._client.get_entity(entity) is not None:
            await self._client.signal_entity(entity, "delete")
        async for turn in self._of_session(prefix, ENDED):
            await self._client.purge_instance_history(str(turn.instance_id), recursive=True)
        left = [turn async for turn in self._of_session(prefix)]
        return not left and await self._client.get_entity(entity) is None

    async def purge_turns(self, session: str) -> bool:
        """Delete turns of a session that have ended, 100 at most.

        Args:
            session: key of the session.

        Returns:
            Whether no such turn is left.
        """
        purged = 0
        async for turn in self._of_session(turn_prefix(self._agent, session), ENDED):
            if purged == PURGED_AT_ONCE:
                return False
            with suppress(InstanceNotEndedError):  # it has been started anew meanwhile
                await self._client.purge_instance_history(str(turn.instance_id), recursive=True)
            purged += 1
        return True

    # ---- people ----------------------------------------------------------------------------------------------------

    async def pending(self, session: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Tell what the agent's turns are waiting for from people, in one session or in all."""
        prefix = f"dafx-{self._agent}:" if session is None else turn_prefix(self._agent, session)
        turns = self._turns(prefix, [OrchestrationRuntimeStatus.Running])
        async for turn in turns:
            key, correlation = turn_parts(self._agent, str(turn.instance_id))
            for request in _pending(turn) if session in (None, key) else ():
                yield {"agent": self._agent, "session_id": key, "correlation_id": correlation, **request}

    async def answer(self, session: str, correlation: str, request_id: str, body: Any) -> None:
        """Answer a request of a turn. An answer that is accepted is the one that counts, unless the turn is terminated.

        Args:
            session: key of the session.
            correlation: the turn's correlation id.
            request_id: the request's id.
            body: `{"approved": true}` or `{"answer": "..."}`; `reason` and `by` may stand beside.

        Raises:
            UnknownTurn: there is no such turn.
            AlreadyAnswered: the request has been answered, or has run out of time.
            AgentError: this is no answer to it.
        """
        instance_id = turn_id(self._agent, session, checked_correlation(correlation))
        status = await self._client.get_status(instance_id)
        if not status:
            raise UnknownTurn(f"agent '{self._agent}' has no turn '{correlation}' in session '{session}'")
        request = next((each for each in _pending(status) if each["requestId"] == request_id), None)
        try:
            if request is None:
                found = await settled(self._client, instance_id, request_id)
            else:
                found = await settle(self._client, instance_id, request_id, checked_answer(request["kind"], body))
                if found.answer is not None:  # whoever was first may have died before the turn was told
                    await self._client.raise_event(instance_id, event_name(request_id), found.answer)
        except (InstanceEndedError, InstanceNotFoundError) as error:
            raise AlreadyAnswered(f"turn '{correlation}' of session '{session}' has ended") from error
        if found is None:
            raise AlreadyAnswered(f"turn '{correlation}' of session '{session}' does not wait for '{request_id}'")
        if not found.by_this:
            told = f"request '{request_id}' of turn '{correlation}' in session '{session}'"
            raise AlreadyAnswered(f"{told} {_ended_by(found.answer)}: this answer does not count")

    # ---- turns -----------------------------------------------------------------------------------------------------

    async def _running(self, session: str) -> str | None:
        """Return the correlation id of the turn that has the session locked."""
        entity = session_entity_id(self._agent, checked_session_key(session))
        known = await self._client.get_entity(entity, include_state=False)
        owner, prefix = known.locked_by if known else None, turn_prefix(self._agent, session)
        return owner.removeprefix(prefix) if owner and owner.startswith(prefix) else None

    async def _accepted(self, session: str) -> str | None:
        """Return the correlation id of a turn that has not ended; for a session without a state, which has few."""
        prefix = turn_prefix(self._agent, session)
        async for turn in self._of_session(prefix, _OPEN):
            return str(turn.instance_id).removeprefix(prefix)
        return None

    async def _of_session(
        self, prefix: str, statuses: Iterable[OrchestrationRuntimeStatus] = ()
    ) -> AsyncIterator[DurableOrchestrationStatus]:
        """Tell the turns of one session: that of session `a:b` begin with the prefix of `a`, too."""
        async for turn in self._turns(prefix, statuses):
            if ":" not in str(turn.instance_id).removeprefix(prefix):
                yield turn

    async def _turns(
        self, prefix: str, statuses: Iterable[OrchestrationRuntimeStatus] = ()
    ) -> AsyncIterator[DurableOrchestrationStatus]:
        continuation: str | None = None
        wanted = InstanceQuery(id_prefix=prefix, statuses=tuple(statuses))
        while True:
            page = await self._client.query(wanted, top=_PAGE, continuation=continuation)
            for status in page.instances:
                yield status
            continuation = page.continuation
            if continuation is None:
                return

    async def _remembered(self, session: str, correlation: str) -> dict[str, Any]:
        """Return a turn's result from what the session remembers: its instance is gone."""
        entity = await self._client.read_entity_state(session_entity_id(self._agent, checked_session_key(session)))
        found = SessionState.read(entity.entity_state).results.get(correlation) if entity else None
        if found is None:
            raise UnknownTurn(f"agent '{self._agent}' has no turn '{correlation}' in session '{session}'")
        return found

    def _described(self, session: str, correlation: str, status: DurableOrchestrationStatus) -> dict[str, Any]:
        if status.runtime_status is OrchestrationRuntimeStatus.Completed:
            return dict(status.output)
        pending = _pending(status)
        described: dict[str, Any] = {
            "response": None,
            "message": RunRequest.model_validate(status.input_["request"]).shown(),
            "session_id": session,
            "correlation_id": correlation,
        }
        match status.runtime_status:
            case OrchestrationRuntimeStatus.Failed:
                return described | {"status": "failed", "error": {"message": str(status.output)}}
            case OrchestrationRuntimeStatus.Terminated:
                return described | {"status": "canceled", "error": {"message": str(status.output)}}
            case _ if pending:
                return described | {"status": "waiting", "pending": pending}
            case _:
                return described | {"status": "running"}


def _pending(status: DurableOrchestrationStatus) -> list[dict[str, Any]]:
    custom = status.custom_status
    if status.runtime_status in ENDED or not isinstance(custom, dict):
        return []
    return list(custom.get("pending", ()))


def _ended_by(answer: dict[str, Any] | None) -> str:
    if answer is None:
        return "has run out of time"
    return f"was answered by '{answer['by']}'" if "by" in answer else "was answered before"
