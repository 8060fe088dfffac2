"""One executor for each activity: what one run leaves in its attributes is no other run's business.

A process has one `Workflow` object, and serves many runs of it at once. So an activity works on a copy of the
executor: attributes that are data are the copy's own, whatever else there is (agents, clients, functions) is shared.
After the activity the executor's state is stored: what `on_checkpoint_save` returns, or, if the class has no such hook,
the attributes whose data have changed.
"""

from __future__ import annotations

import copy
import logging
import types
import uuid
from typing import Any

from agent_framework import AgentExecutor, AgentSession, Executor

from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.errors import UndeclaredTypeError
from perdure.agents.workflows.wire import Json

_log = logging.getLogger("perdure.agents.workflows")

_OWN = {"_handlers", "_response_handlers", "_handler_specs", "_response_handler_specs"}
_OWN |= {"_execution_lock", "_execution_lock_loop", "id", "type", "type_"}
"""Attributes that the framework keeps for itself."""


class IsolatedExecutor:
    """A copy of an executor, for one activity.

    Args:
        original: the workflow's own; it is never run.
        codec: tells data from other objects.
        run: names the run; sessions of agents get their ids from it.
    """

    def __init__(self, original: Executor, codec: Codec, run: str) -> None:
        self._codec = codec
        self.executor = _copied(original, codec)
        self._hooked = type(original).on_checkpoint_save is not Executor.on_checkpoint_save
        _give_sessions(self.executor, run)
        self._before = {} if self._hooked else self._attributes()

    async def restore(self, state: Json) -> None:
        """Take up the state that an activity before has saved; None is the executor as it was built."""
        if state is None:
            return
        if self._hooked:
            await self.executor.on_checkpoint_restore(self._codec.decode(state["saved"]))
        for name, value in state.get("attributes", {}).items():
            setattr(self.executor, name, self._codec.decode(value))

    async def save(self) -> Json:
        """Return the state to restore in the next activity.

        Raises:
            UndeclaredTypeError: what the hook returns holds a type that the workflow does not declare.
        """
        if self._hooked:
            return {"saved": self._codec.encode(await self.executor.on_checkpoint_save())}
        now = self._attributes()
        changed = {name: value for name, value in now.items() if self._before.get(name, _Unstored) != value}
        return {"attributes": {name: value for name, value in changed.items() if value is not _Unstored}}

    def _attributes(self) -> dict[str, Json]:
        """Return what can be stored of the executor's attributes."""
        return {name: self._written(name, value) for name, value in vars(self.executor).items() if name not in _OWN}

    def _written(self, name: str, value: Any) -> Json:
        try:
            return self._codec.encode(value)
        except UndeclaredTypeError as error:
            if isinstance(value, list | dict | set) and value:
                _log.debug("attribute '%s' of executor '%s' is not stored: %s", name, self.executor.id, error)
            return _Unstored


def keeps_objects(executor: Executor, codec: Codec) -> bool:
    """Whether an executor is one of the framework's own that keep a run's data in objects which can't be copied."""
    cls = type(executor)
    if cls is AgentExecutor or not cls.__module__.startswith("agent_framework"):
        return False
    return any(
        hasattr(value, "__dict__") and not callable(value) and not codec.can_encode(value)
        for value in vars(executor).values()
    )


class _Unstored:
    """Marks attributes that hold no data."""


def _copied(original: Executor, codec: Codec) -> Executor:
    made = copy.copy(original)
    for name in ("_execution_lock", "_execution_lock_loop"):  # a lock of its own: nobody else has this copy
        setattr(made, name, None)
    for name, value in vars(original).items():
        if name in ("_handlers", "_response_handlers"):
            setattr(made, name, {key: _bound_to(made, original, handler) for key, handler in value.items()})
        elif name not in _OWN and not isinstance(value, str | int | float | bool | None) and codec.can_encode(value):
            setattr(made, name, copy.deepcopy(value))
    return made


def _bound_to(made: Executor, original: Executor, handler: Any) -> Any:
    if isinstance(handler, types.MethodType) and handler.__self__ is original:
        return types.MethodType(handler.__func__, made)
    return handler


def _give_sessions(executor: Executor, run: str) -> None:
    """Give agents sessions of this run, in place of those that were made up with the workflow and are still unused."""
    for name, session in vars(executor).items():
        if not isinstance(session, AgentSession) or session.state or session.service_session_id:
            continue
        if _is_made_up(session.session_id):
            session_id = uuid.uuid5(uuid.NAMESPACE_URL, f"{run}/{executor.id}/{name}")
            setattr(executor, name, AgentSession(session_id=str(session_id)))


def _is_made_up(session_id: str) -> bool:
    try:
        return uuid.UUID(session_id).version == 4  # noqa: PLR2004 - the version that is made of random numbers
    except ValueError:
        return False
