"""What a commit of an entity sends. Every send may be repeated: receivers drop what they know."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import assert_never

from perdure.core.entities.record import Answer, Begin, Send
from perdure.core.messages import AcquireLock, Completion, Completions, Operate, ReleaseLock, Wake
from perdure.core.outbox import outcome_message_id
from perdure.core.state import Parent
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.engine.services import Services
from perdure.engine.starting import InstanceIdTaken
from perdure.engine.succession import insert_or_replace

_log = logging.getLogger("perdure.entities")


class EntityDispatch:
    """Sends for the entities of one worker."""

    def __init__(self, services: Services) -> None:
        self._storage = services.storage
        self._mail = services.mail
        self._payloads = services.payloads
        self._starting = services.starting
        self._dispatch = services.dispatch

    async def send(self, sends: Sequence[Send], entity: str, default_version: str | None) -> None:
        """Send all of it, in order; outcomes for one orchestration share a message.

        Args:
            sends: what a commit decided.
            entity: instance id of the entity, for the log.
            default_version: version of orchestrations that are started without one.
        """
        for parent, completions in _answers(sends).values():
            await self._answer(parent, completions)
        for each in sends:
            match each:
                case Answer():
                    pass
                case Begin():
                    await self._begin(each, entity, default_version)
                case Operate() | Wake():
                    await self._mail.send(each, due=each.due)
                case AcquireLock() | ReleaseLock():
                    await self._mail.send(each)
                case _:
                    assert_never(each)

    async def _answer(self, parent: Parent, completions: list[Completion]) -> None:
        message_id = outcome_message_id(parent.execution, *(completion.no for completion in completions))
        await self._mail.send(
            Completions(to=parent.instance_id, id=message_id, execution=parent.execution, items=completions)
        )

    async def _begin(self, begin: Begin, entity: str, default_version: str | None) -> None:
        row = self._starting.row(
            begin.instance_id,
            begin.name,
            execution_id=begin.execution_id,
            input_=begin.input,
            version=begin.version if begin.version is not None else default_version,
            start_at=begin.start_at,
            tags=begin.tags,
        )
        try:
            new = await insert_or_replace(self._storage, self._starting, self._dispatch, row)
        except InstanceIdTaken as taken:
            _log.warning("entity '%s' has not started orchestration '%s': %s", entity, begin.name, taken)
            await self._payloads.discard(begin.instance_id, [begin.input])
            return
        there = row if new else await self._storage.read(begin.instance_id)
        if there is not None and there.instance.status == OrchestrationRuntimeStatus.Pending:
            await self._dispatch.start(there)


def _answers(sends: Sequence[Send]) -> dict[tuple[str, str], tuple[Parent, list[Completion]]]:
    """Group the outcomes by the generation that waits for them."""
    groups: dict[tuple[str, str], tuple[Parent, list[Completion]]] = {}
    for each in sends:
        if isinstance(each, Answer):
            key = (each.to.instance_id, each.to.execution)
            groups.setdefault(key, (each.to, []))[1].append(each.completion)
    return groups
