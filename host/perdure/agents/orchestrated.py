"""Agents inside orchestrations: `reply = yield app.get_agent(context, "writer").run("...")`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, overload

from agent_framework import AgentResponse, AgentSession, Message
from pydantic import BaseModel, BeforeValidator

from perdure.agents.errors import AgentError
from perdure.agents.messages import dumped, response_of
from perdure.agents.naming import checked_session_key, turn_id, turn_name
from perdure.agents.requests import RunRequest
from perdure.core.context import OrchestrationContext
from perdure.core.retry import RetryPolicy
from perdure.core.tasks import Task

_PREFIX = "dafx-"

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class AgentSessionId:
    """Names a session: the agent's name, and a key."""

    name: str
    key: str

    @property
    def entity_name(self) -> str:
        """Name of the entity that keeps it."""
        return f"{_PREFIX}{self.name}"

    def __str__(self) -> str:
        return f"@{self.name}@{self.key}"

    @classmethod
    def parse(cls, text: str, agent_name: str | None = None) -> AgentSessionId:
        """Read `@name@key`; with an agent's name, a bare key as well.

        Raises:
            ValueError: it is neither.
        """
        name, at, key = text[1:].partition("@") if text.startswith("@") else ("", "", "")
        if at:
            return cls(agent_name or name, key)
        if agent_name is None:
            raise ValueError(f"a session id is '@agent@key', not {text!r}")
        return cls(agent_name, text)


class DurableAgentSession(AgentSession):
    """A session that outlives the orchestration; hand it to `run` of the same agent again.

    Args:
        durable_session_id: which session it is.
    """

    def __init__(self, *, durable_session_id: AgentSessionId) -> None:
        super().__init__(session_id=durable_session_id.key)
        self.durable_session_id = durable_session_id


class DurableAIAgent:
    """An agent of the app, as an orchestration calls it.

    Args:
        context: the orchestration's.
        name: the agent's name.
    """

    def __init__(self, context: OrchestrationContext, name: str) -> None:
        self.name = name
        self._context = context

    def create_session(self, *, session_id: str | None = None) -> DurableAgentSession:
        """Return a session of the agent; without an id, a new one, the same in every replay."""
        key = self._context.new_uuid() if session_id is None else checked_session_key(session_id)
        return DurableAgentSession(durable_session_id=AgentSessionId(self.name, key))

    @overload
    def run(
        self,
        messages: str | Message | Sequence[str | Message],
        *,
        session: AgentSession | str | None = None,
        response_format: type[M],
        enable_tool_calls: bool = True,
        options: dict[str, Any] | None = None,
        retry_policy: RetryPolicy | None = None,
    ) -> Task[AgentResponse[M]]: ...

    @overload
    def run(
        self,
        messages: str | Message | Sequence[str | Message],
        *,
        session: AgentSession | str | None = None,
        response_format: dict[str, Any] | None = None,
        enable_tool_calls: bool = True,
        options: dict[str, Any] | None = None,
        retry_policy: RetryPolicy | None = None,
    ) -> Task[AgentResponse[Any]]: ...

    def run(
        self,
        messages: str | Message | Sequence[str | Message],
        *,
        session: AgentSession | str | None = None,
        response_format: type[BaseModel] | dict[str, Any] | None = None,
        enable_tool_calls: bool = True,
        options: dict[str, Any] | None = None,
        retry_policy: RetryPolicy | None = None,
    ) -> Task[AgentResponse[Any]]:
        """Have the agent answer; the task's result is an AgentResponse.

        Args:
            messages: what is said to it.
            session: the session, or its key; by default a new one of this call's own.
            response_format: a pydantic model whose object the response's `value` is to be, or a JSON schema.
            enable_tool_calls: whether the agent may use its tools.
            options: options for the model; they must have a JSON form. `response_format` and `enable_tool_calls` may
                stand here, too, as the Agent Framework's own host has it.
            retry_policy: how to try again a turn that failed; the agent's own policies apply within a turn.

        Raises:
            AgentError: the session is another agent's, or the options say not to wait.
            TaskFailedError: (from the task) the turn failed.
        """
        asked = dict(options or {})
        if asked.pop("wait_for_response", True) is False:
            raise AgentError(
                f"agent '{self.name}' begins when `run` is called: to go on at once, don't wait for the task"
            )
        response_format = asked.pop("response_format", response_format)
        enable_tool_calls = asked.pop("enable_tool_calls", enable_tool_calls)
        key = self._key_of(session)
        correlation = self._context.new_uuid()
        model = response_format if isinstance(response_format, type) else None
        request = RunRequest(
            correlationId=correlation,
            response_format=response_format.model_json_schema()
            if isinstance(response_format, type)
            else response_format,
            enable_tool_calls=enable_tool_calls,
            options=asked,
            **_said(messages),
        )
        return self._context.call_sub_orchestrator(
            turn_name(self.name),
            {"sessionId": key, "request": request.to_json()},
            turn_id(self.name, key, correlation),
            return_type=_response_type(model, is_json=response_format is not None),
            retry_policy=retry_policy,
        )

    def _key_of(self, session: AgentSession | str | None) -> str:
        if session is None:
            return self._context.new_uuid()
        if isinstance(session, str):
            return checked_session_key(session)
        if isinstance(session, DurableAgentSession) and session.durable_session_id.name != self.name:
            raise AgentError(
                f"session '{session.session_id}' is one of agent '{session.durable_session_id.name}', not of "
                f"'{self.name}': each agent has its own"
            )
        return checked_session_key(session.session_id)


def _said(messages: str | Message | Sequence[str | Message]) -> dict[str, Any]:
    if isinstance(messages, str):
        return {"message": messages}
    many = [messages] if isinstance(messages, Message) else list(messages)
    return {"messages": [dumped(_message(each)) for each in many]}


def _message(each: str | Message) -> Message:
    return each if isinstance(each, Message) else Message(role="user", contents=[each])


def _response_type(model: type[BaseModel] | None, *, is_json: bool) -> Any:
    def read(result: Any) -> AgentResponse[Any]:
        response = response_of(result)
        value = model.model_validate_json(response.text) if model is not None else None
        if model is None and is_json:
            value = json.loads(response.text)
        if value is None:
            return response
        return AgentResponse(
            messages=response.messages,
            usage_details=response.usage_details,
            created_at=response.created_at,
            value=value,
        )

    return Annotated[Any, BeforeValidator(read)]
