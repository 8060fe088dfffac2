"""Entities as clients deal with them: signals, states, lists, the clean-up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perdure.client.arguments import aware, checked_prefix
from perdure.client.entity_cleaning import EntityCleaning
from perdure.client.entity_state import CleanEntityStorageResult, EntityMetadata, EntityPage, EntityStateResponse
from perdure.client.hub_client import HubClient
from perdure.client.reading import damaged_row, is_json, readable, told_of
from perdure.core.aliases import also_named
from perdure.core.data import payload_of, to_json
from perdure.core.entities.admission import CLIENT_STREAM
from perdure.core.entities.durable_entity import DELETE
from perdure.core.entity_id import EntityId, instance_id_of
from perdure.core.messages import Operate, ReleaseLock
from perdure.core.naming import check_text
from perdure.core.streams import Place
from perdure.core.typed import read_as
from perdure.engine.sweeping import Sweeps
from perdure.errors import StoredDataError
from perdure.storage.protocol import PayloadMissing
from perdure.storage.rows import Instance, InstanceQuery

_LARGEST_PAGE = 1_000
_also_named = also_named(
    entity_id="entityId",
    entity_instance_id="entityId",
    operation="operation_name",
    input="operation_input",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityQuery:
    """Conditions that entities must meet; see `Client.list_entities`."""

    instance_id_starts_with: str | None = None
    """How their ids begin, written `@name@key`: the name in lower case, the key as it is."""
    last_modified_from: datetime | None = None
    last_modified_to: datetime | None = None
    include_state: bool = True
    include_transient: bool = False
    """Include entities without a state."""
    page_size: int | None = None


class Entities(HubClient):
    """The part of the client that deals with entities."""

    @_also_named
    async def signal_entity(
        self,
        entityId: EntityId | str,  # noqa: N803 - as in Durable Functions
        operation_name: str,
        operation_input: Any = None,
        *,
        signal_time: datetime | None = None,
    ) -> None:
        """Have an entity perform an operation. This returns once the signal is stored durably.

        The signals of one client arrive in the order in which this returned, and each takes effect once. If this
        raises, the signal may have been sent all the same.

        Args:
            entityId: the entity, also as `entity_id`; one that does not exist is made by the operation.
            operation_name: what it is to do, also as `operation`.
            operation_input: the operation's input, anything that has a JSON form; also as `input`.
            signal_time: when it is to do it, at the earliest; naive times mean UTC. Such a signal is outside of the
                order.

        Raises:
            UnknownFunctionError: the app in this process has no such entity function.
            DataError: the input has no JSON form.
        """
        entity = self._known(entityId)
        name = check_text(operation_name, "an operation's name")
        if not name:
            raise ValueError("an operation's name can't be empty")
        await self._operate(entity, name, to_json(operation_input, f"the input of operation '{name}'"), signal_time)

    @_also_named
    async def delete_entity(self, entityId: EntityId | str) -> None:  # noqa: N803 - as above
        """Delete an entity: perform its operation `delete` if it is a class, else remove its state.

        Raises:
            UnknownFunctionError: the app in this process has no such entity function.
        """
        await self._operate(self._known(entityId), DELETE, to_json(None), None, delete=True)

    @_also_named
    async def read_entity_state(
        self,
        entityId: EntityId | str,  # noqa: N803 - as above
        *,
        expected_type: Any = None,
    ) -> EntityStateResponse:
        """Return the state of an entity: what its last committed operation has left.

        Args:
            entityId: the entity, also as `entity_id`.
            expected_type: what to read the state as; by default plain JSON.

        Raises:
            DataError: the state does not fit.
            StoredDataError: it is damaged.
            PayloadMissing: it was stored apart, and has vanished or is damaged.
        """
        entity = instance_id_of(entityId)
        instance = await self._reader.find(entity)
        text = None if instance is None else await self._state_text(instance)
        if text is None:
            return EntityStateResponse(entity_exists=False)
        try:
            state = read_as(text, expected_type, f"the state of entity '{entity}'")
        except (ValueError, RecursionError) as error:
            raise StoredDataError(f"the state of entity '{entity}' is damaged: {error}") from error
        return EntityStateResponse(entity_exists=True, entity_state=state)

    @_also_named
    async def get_entity(
        self,
        entityId: EntityId | str,  # noqa: N803 - as above
        include_state: bool = True,
    ) -> EntityMetadata | None:
        """Return what is known of an entity, None if it has no state and nothing waits in it.

        Args:
            entityId: the entity, also as `entity_id`.
            include_state: include its state.
        """
        instance = await self._reader.find(instance_id_of(entityId))
        if instance is None:
            return None
        entity = await self._described(instance, include_state=include_state)
        return entity if entity.exists or instance.custom_status is not None else None

    async def list_entities(
        self,
        name: str | None = None,
        key_prefix: str = "",
        *,
        last_modified_from: datetime | None = None,
        last_modified_to: datetime | None = None,
        include_state: bool = False,
        include_transient: bool = False,
        top: int = 100,
        continuation: str | None = None,
    ) -> EntityPage:
        """Return one page of the entities that meet every condition given, in the order of their ids.

        Args:
            name: entities of this name, whatever its case.
            key_prefix: whose key begins with this; needs a name.
            last_modified_from: last operation performed at this time or later; naive times mean UTC.
            last_modified_to: last operation performed at this time or earlier.
            include_state: include their states.
            include_transient: include those without a state.
            top: entities a page, at most 1,000.
            continuation: that of the page before.

        Raises:
            ValueError: `top` is out of range, the continuation comes from something else, or there is a prefix without
                a name.
        """
        if key_prefix and name is None:
            raise ValueError("a prefix of keys needs the name of the entities")
        prefix = checked_prefix(key_prefix, "key_prefix")
        start = "@" if name is None else str(EntityId(name, "k"))[:-1] + prefix
        query = _query(start, last_modified_from, last_modified_to)
        return await self._page(
            query, top, continuation, include_state=include_state, include_transient=include_transient
        )

    async def get_all_entities(self, entity_query: EntityQuery | None = None) -> list[EntityMetadata]:
        """Return all entities that meet the conditions; where there are many, `list_entities` pages."""
        asked = EntityQuery() if entity_query is None else entity_query
        if not isinstance(asked, EntityQuery):
            raise TypeError(f"entities are asked for by an EntityQuery, not by {type(asked).__name__}")
        query = _query(asked.instance_id_starts_with or "@", asked.last_modified_from, asked.last_modified_to)
        found: list[EntityMetadata] = []
        continuation: str | None = None
        while True:
            page = await self._page(
                query,
                asked.page_size or _LARGEST_PAGE,
                continuation,
                include_state=asked.include_state,
                include_transient=asked.include_transient,
            )
            found += page.entities
            continuation = page.continuation
            if continuation is None:
                return found

    async def clean_entity_storage(
        self, remove_empty_entities: bool = True, release_orphaned_locks: bool = True
    ) -> CleanEntityStorageResult:
        """Remove what entities without a state have left, large data that nobody will take in, and locks whose
        orchestration is no more.

        None of it is needed for correctness: what is empty goes by itself after a while, and an orchestration releases
        its locks however it ends, unless somebody deletes its row by hand. Large data stays behind where a process has
        died between storing and sending it.

        Args:
            remove_empty_entities: remove rows of entities that have no state and that nothing has been asked of for an
                hour; and have workers delete large data that should have been taken in a week ago, a day from now, if
                nothing needs it then.
            release_orphaned_locks: release locks whose orchestration has ended, or is no longer there.
        """
        sweeps = Sweeps(self._mail, self._clock, self._new_id)
        cleaning = EntityCleaning(self._storage, self._clock, self._release, sweeps)
        removed = await cleaning.remove_empty() if remove_empty_entities else 0
        if remove_empty_entities:
            await cleaning.sweep()
        released = await cleaning.release_orphaned_locks() if release_orphaned_locks else 0
        return CleanEntityStorageResult(removed, released)

    # ---- its own ---------------------------------------------------------------------------------------------------

    def _known(self, entity: EntityId | str) -> str:
        """Return the instance id of an entity that this app can perform operations of, as far as it knows."""
        entity_id = EntityId.parse(entity) if isinstance(entity, str) else entity
        instance_id = instance_id_of(entity_id)
        if self._registry is not None:
            self._registry.entities.get(entity_id.name)
        return instance_id

    async def _operate(
        self, entity: str, operation: str, data: str, when: datetime | None, *, delete: bool = False
    ) -> None:
        due = aware(when, "signal_time")
        datum = await self._payloads.offload(entity, data, due=due)
        place = self._signals.place(entity) if due is None else Place(f"{self._new_id()}/at", 0)
        message = Operate(
            to=entity, id=str(place), place=place, operation=operation, input=datum, due=due, delete=delete
        )
        try:
            await self._mail.send(message, due=due)
        except BaseException:
            self._signals.interrupted(entity)
            raise

    async def _release(self, entity: str, lock: str) -> None:
        place = Place(f"{CLIENT_STREAM}{self._new_id()}", 0)
        await self._mail.send(ReleaseLock(to=entity, id=str(place), place=place, lock=lock))

    async def _page(
        self,
        query: InstanceQuery,
        top: int,
        continuation: str | None,
        *,
        include_state: bool,
        include_transient: bool,
    ) -> EntityPage:
        page = await self._storage.query(query, top=top, continuation=continuation)
        shown = [each for each in page.instances if include_transient or each.output is not None]
        described = await readable(self._described(each, include_state=include_state) for each in shown)
        return EntityPage([each for each in described if each.exists or include_transient], page.continuation)

    async def _described(self, instance: Instance, *, include_state: bool) -> EntityMetadata:
        """Describe an entity. Raises StoredDataError if its row is damaged."""
        text, lost = await self._state_or_loss(instance) if include_state else (None, None)
        try:
            shown: Mapping[str, Any] = json.loads(instance.custom_status) if instance.custom_status is not None else {}
        except ValueError as error:
            raise damaged_row(instance.instance_id, error) from error
        reasons = [reason for reason in (instance.reason, lost) if reason]
        return EntityMetadata(
            id=EntityId(instance.name, EntityId.parse(instance.instance_id).key),
            last_modified=instance.updated_at,
            backlog_queue_size=shown.get("queueSize", 0),
            locked_by=shown.get("lockedBy"),
            includes_state=include_state,
            exists=instance.output is not None,
            state_text=text,
            reason="\n".join(reasons) or None,
        )

    async def _state_or_loss(self, instance: Instance) -> tuple[str | None, str | None]:
        """Return the JSON text of an entity's state; or what has become of the payload that held it."""
        payload_id = payload_of(instance.output)
        try:
            text = await self._state_text(instance)
        except PayloadMissing as missing:
            return None, f"its state is {told_of(payload_id or '', missing)}"
        if is_json(text):
            return text, None
        if payload_id is None:
            raise damaged_row(instance.instance_id, "its state is no JSON")
        return None, f"its state is {told_of(payload_id, None)}"

    async def _state_text(self, instance: Instance) -> str | None:
        """Return the JSON text of an entity's state; should its payload be gone, the entity has moved on."""
        while True:
            try:
                return await self._payloads.text(instance.instance_id, instance.output)
            except PayloadMissing:
                newer = await self._reader.find(instance.instance_id)
                if newer is None:
                    return None
                if newer.commit == instance.commit:
                    raise
                instance = newer


def _query(start: str, modified_from: datetime | None, modified_to: datetime | None) -> InstanceQuery:
    return InstanceQuery(
        kind="entity",
        id_prefix=start,
        updated_from=aware(modified_from, "last_modified_from"),
        updated_to=aware(modified_to, "last_modified_to"),
    )
