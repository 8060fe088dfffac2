"""Starting orchestrations, anew and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from perdure.client.hub_client import HubClient
from perdure.client.reuse import ReuseId
from perdure.core.data import fits_inline, to_json
from perdure.core.entity_id import check_orchestration_id
from perdure.core.messages import Start, Terminate
from perdure.core.naming import check_instance_id, checked_tags, name_of
from perdure.core.outbox import start_message_id
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.core.times import start_time
from perdure.core.typed import read_as
from perdure.core.versions import checked_version
from perdure.engine.deleting import dated_start_input_id
from perdure.engine.starting import InstanceIdTaken
from perdure.engine.succession import insert_or_replace
from perdure.storage.limits import check_row
from perdure.storage.rows import Instance, Row

_ENDS_WITHIN = timedelta(seconds=30)
_PAUSE = 0.05


class _Start(NamedTuple):
    """What is to be started, in the form in which it is stored."""

    name: str
    text: str | None
    version: str | None
    start_at: datetime | None
    tags: Mapping[str, str]
    reuse: ReuseId


class Starts(HubClient):
    """The part of the client that starts orchestrations."""

    async def start_new(
        self,
        orchestration_function_name: str | Callable[..., Any],
        instance_id: str | None = None,
        client_input: Any = None,
        version: str | None = None,
        *,
        start_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        reuse: ReuseId | str | None = None,
    ) -> str:
        """Start an orchestration and return its instance id.

        By default an instance of this id that has ended is replaced. One of the same orchestrator that is still Pending
        is left as it is, and only its start message is sent again: so a start that broke off may simply be repeated.

        Args:
            orchestration_function_name: the orchestrator's name, or the decorated function itself.
            instance_id: 1 to 256 characters, and not an entity's (`@name@key`); None makes a new one.
            client_input: the orchestration's input, anything that has a JSON form.
            version: version to start with; None takes the default.
            start_at: don't begin before this time (a naive one means UTC); None begins at once.
            tags: texts to find it by and to show with it; at most 8,000 characters in all.
            reuse: which instances of this id give way; None takes the client's default.

        Raises:
            InstanceExistsError: the id belongs to an instance that does not give way.
            ValueError: there can be no orchestration of this id.
            UnknownFunctionError: the app in this process has no such orchestrator.
            DataError: the input has no JSON form, or does not fit what the orchestrator in this process declares.
            TimeoutError: a running instance was to give way, but did not end within 30 seconds of being terminated.
            StorageUnavailable: the store can't be reached; whether the instance was started is unknown.
        """
        name = name_of(orchestration_function_name, "orchestrator")
        text = None if client_input is None else to_json(client_input, f"the input of orchestration '{name}'")
        policy = self._reuse if reuse is None else _policy(reuse)
        due = None if start_at is None else start_time(start_at)
        start = _Start(name, text, version, due, checked_tags(tags), policy)
        return await self._start(self._new_id() if instance_id is None else check_orchestration_id(instance_id), start)

    async def _start(self, instance_id: str, start: _Start) -> str:
        if self._worker is not None:
            orchestrators = self._worker.registry.orchestrators
            orchestrators.get(start.name)
            if start.text is not None:
                hint = orchestrators.hints(start.name).input
                read_as(start.text, hint, f"the input of orchestration '{start.name}'")
        row = await self._row(instance_id, start)
        if self._worker is not None and await self._worker.begin(row):
            return instance_id
        try:
            await self._insert(row, start.reuse)
        except InstanceIdTaken as taken:
            await self._payloads.discard(instance_id, [row.instance.input])
            if _same_and_pending(taken.row, start.name):
                await self._send_start(taken.row)
            elif start.reuse is not ReuseId.EXISTING:
                raise
            return instance_id
        except TimeoutError:
            await self._payloads.discard(instance_id, [row.instance.input])
            raise
        self._notices.note_start(row.instance)
        if self._worker is not None:
            await self._worker.start(row)
        else:
            await self._send_start(row)
        return instance_id

    async def _row(self, instance_id: str, start: _Start) -> Row:
        execution_id = self._new_id()
        version = self._default_version if start.version is None else checked_version(start.version)
        row = self._starting.row(
            instance_id,
            start.name,
            execution_id=execution_id,
            input_=None,
            version=version,
            start_at=start.start_at,
            tags=start.tags,
        )
        check_row(row)  # before its input is stored: what no provider takes leaves nothing behind
        if start.text is None or fits_inline(start.text):
            row.instance.input = start.text
        else:
            payload_id = dated_start_input_id(execution_id, self._clock.now())
            row.instance.input = await self._payloads.store(instance_id, payload_id, start.text)
        return row

    async def _insert(self, row: Row, reuse: ReuseId) -> None:
        """Insert the row, or put it in the place of one that gives way. Raises InstanceIdTaken.

        If this process dies after it has terminated a running instance, nothing has been started in its place; whoever
        asked for it asks again, and finds it ended.
        """
        if reuse in (ReuseId.NEVER, ReuseId.EXISTING):
            await self._starting.insert(row)
            return
        while True:
            try:
                await insert_or_replace(self._storage, self._starting, self._dispatch, row)
            except InstanceIdTaken as taken:
                if reuse is not ReuseId.ANY or _same_and_pending(taken.row, row.instance.name):
                    raise
                await self._end(taken.row.instance)
            else:
                return

    async def _end(self, instance: Instance) -> None:
        """Terminate an instance, its children too, and wait until it has ended."""
        reason = "a new instance of its id was started"
        message_id = f"{instance.execution_id}/replaced"
        await self._mail.send(
            Terminate(to=instance.instance_id, id=message_id, reason=reason, execution_id=instance.execution_id)
        )
        deadline = self._clock.now() + _ENDS_WITHIN
        while self._clock.now() < deadline:
            there = await self._reader.find(instance.instance_id)
            if there is None or there.execution_id != instance.execution_id or there.status in ENDED:
                return
            await self._clock.sleep(_PAUSE)
        raise TimeoutError(
            f"instance '{instance.instance_id}' ('{instance.name}') was terminated to make way for another, but has "
            f"not ended within {_ENDS_WITHIN.total_seconds():g} s: is a worker of its hub running? Try again."
        )

    async def _send_start(self, row: Row) -> None:
        instance = row.instance
        message_id = start_message_id(instance.execution_id)
        message = Start(to=instance.instance_id, id=message_id, execution_id=instance.execution_id)
        await self._mail.send(message, due=instance.start_at)

    async def restart(self, instance_id: str, restart_with_new_instance_id: bool = True) -> str:
        """Start an instance's orchestrator once more, with the same input, and return the new instance's id.

        Args:
            instance_id: the instance; its input is that of its last generation.
            restart_with_new_instance_id: False takes the same id again, and replaces the instance.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InstanceExistsError: it is to be replaced and has not ended.
        """
        instance = await self._existing(check_instance_id(instance_id))
        text = await self._payloads.text(instance_id, instance.input)
        new_id = self._new_id() if restart_with_new_instance_id else instance_id
        return await self._start(
            new_id, _Start(instance.name, text, instance.version, None, instance.tags, ReuseId.ENDED)
        )


def _policy(given: object) -> ReuseId:
    for policy in ReuseId:
        if given == policy:
            return policy
    raise ValueError(f"there is no reuse of ids called {given!r}: {', '.join(ReuseId)} are")


def _same_and_pending(row: Row, name: str) -> bool:
    instance = row.instance
    return instance.status == OrchestrationRuntimeStatus.Pending and instance.name.casefold() == name.casefold()
