"""Reading instances out of the store as clients see them: payloads in place of references, nothing that is going."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from perdure.client.history_view import data_in, history_events, with_values
from perdure.client.status import DurableOrchestrationStatus
from perdure.core.data import from_json, payload_of
from perdure.core.failure import Failure
from perdure.engine.journal import Journal
from perdure.engine.payloads import payload_text
from perdure.engine.settings import EngineSettings
from perdure.errors import StoredDataError
from perdure.storage.protocol import PayloadDamaged, PayloadMissing, Storage
from perdure.storage.rows import Instance

_FETCHES_AT_ONCE = 16
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
"""What reading JSON raises that is none."""
_failures = msgspec.json.Decoder(Failure)


_log = logging.getLogger("perdure.client")

T = TypeVar("T")
Lost = Mapping[str, str]
"""What has become of payloads that can't be had, by their ids: what an instance says of each."""


class StatusReader:
    """Reads for one client."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._settings = EngineSettings()
        self._fetches = asyncio.Semaphore(_FETCHES_AT_ONCE)

    async def find(self, instance_id: str) -> Instance | None:
        """Return the columns of an instance, None if it does not exist or is being deleted."""
        instance = await self._storage.read_instance(instance_id)
        return None if instance is None or instance.deleting else instance

    async def status(
        self, instance: Instance, *, show_input: bool, complete: bool = False
    ) -> DurableOrchestrationStatus:
        """Describe an instance; should a payload be gone, read the instance anew: it has moved on, or been purged. If
        it has not, the payload has vanished, or is damaged: the status says so.

        Args:
            instance: its columns.
            show_input: include its input.
            complete: raise PayloadMissing instead if a payload has vanished or is damaged.

        Raises:
            StoredDataError: the row is damaged.
        """
        while True:
            texts, missing = await self._fetch(instance.instance_id, _data_of(instance, show_input=show_input))
            status, lost = _described(instance, texts, missing, show_input=show_input)
            if lost:
                newer = await self.find(instance.instance_id)
                if newer is None:
                    return DurableOrchestrationStatus()
                if newer.commit != instance.commit:
                    instance = newer
                    continue
                if complete:
                    raise PayloadMissing(f"instance '{instance.instance_id}': {status.reason}")
            return status

    async def status_with_history(
        self, instance_id: str, *, show_results: bool, show_input: bool
    ) -> DurableOrchestrationStatus:
        """Describe an instance with the history of its present generation; a falsy status if it does not exist.

        Raises:
            StoredDataError: the history can't be read, or the row is damaged.
            PayloadMissing: a part of it has vanished.
        """
        commit: str | None = None
        while True:
            journal = Journal(self._storage, instance_id, self._settings)
            await journal.load()
            if journal.row is None:
                return DurableOrchestrationStatus()
            instance = journal.instance
            events = history_events(instance, journal.state.turns, show_inputs=show_input, show_results=show_results)
            data = [*data_in(events), *_data_of(instance, show_input=show_input)]
            texts, lost = await self._fetch(instance_id, data)
            if lost and instance.commit != commit:
                commit = instance.commit
                continue
            status, _ = _described(instance, texts, lost, show_input=show_input)
            status.history = with_values(events, {key: text for key, text in texts.items() if is_json(text)})
            return status

    async def _fetch(self, instance_id: str, data: Sequence[str | None]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the texts of the payloads that `data` refer to, by payload id, and what has become of the others."""
        ids = list(dict.fromkeys(payload_id for datum in data if (payload_id := payload_of(datum)) is not None))

        texts: dict[str, str] = {}
        lost: dict[str, str] = {}

        async def fetch(payload_id: str) -> None:
            async with self._fetches:
                try:
                    texts[payload_id] = await payload_text(self._storage, instance_id, payload_id)
                except PayloadMissing as missing:
                    lost[payload_id] = told_of(payload_id, missing)

        await asyncio.gather(*map(fetch, ids))
        return texts, lost


def told_of(payload_id: str, missing: PayloadMissing | None) -> str:
    """Return what an instance says of a payload that can't be had; None stands for one that is no JSON."""
    if missing is None or isinstance(missing, PayloadDamaged):
        return f"damaged: payload '{payload_id}' can't be read"
    return f"gone: payload '{payload_id}' does not exist"


def is_json(text: str | None) -> bool:
    """Whether a text is JSON; None, no datum at all, is taken for it."""
    try:
        from_json(text)
    except _UNREADABLE:
        return False
    return True


def damaged_row(instance_id: str, error: object) -> StoredDataError:
    """Return the error of asking for an instance whose columns are damaged."""
    return StoredDataError(f"the row of instance '{instance_id}' is damaged: {error}")


async def readable(describing: Iterable[Awaitable[T]]) -> list[T]:
    """Await all descriptions; those of instances whose row is damaged are left out, and the log tells of them."""

    async def readable_one(describing_one: Awaitable[T]) -> list[T]:
        try:
            return [await describing_one]
        except StoredDataError as error:
            _log.error("left out of a list: %s", error)
            return []

    return [found for each in await asyncio.gather(*map(readable_one, describing)) for found in each]


def _data_of(instance: Instance, *, show_input: bool) -> list[str | None]:
    return [instance.output, instance.custom_status, *([instance.input] if show_input else [])]


def _described(
    instance: Instance, texts: Mapping[str, str], lost: Lost, *, show_input: bool
) -> tuple[DurableOrchestrationStatus, Lost]:
    """Return the status, and what has become of payloads that can't be had, those that are no JSON among them.

    Raises StoredDataError if the row is damaged.
    """
    try:
        return _shown(instance, texts, lost, show_input=show_input), lost
    except _UNREADABLE as error:  # looked for only now: reading everything twice would cost all the others
        whole = {payload_id: text for payload_id, text in texts.items() if is_json(text)}
        if len(whole) == len(texts):
            raise damaged_row(instance.instance_id, error) from error
    broken = {payload_id: told_of(payload_id, None) for payload_id in texts if payload_id not in whole}
    return _described(instance, whole, {**lost, **broken}, show_input=show_input)


def _shown(instance: Instance, texts: Mapping[str, str], lost: Lost, *, show_input: bool) -> DurableOrchestrationStatus:
    def value(datum: str | None) -> Any:
        payload_id = payload_of(datum)
        return from_json(datum if payload_id is None else texts.get(payload_id))

    return DurableOrchestrationStatus(
        name=instance.name,
        instanceId=instance.instance_id,
        createdTime=instance.created_at,
        lastUpdatedTime=instance.updated_at,
        input=value(instance.input) if show_input else None,
        output=value(instance.output),
        runtimeStatus=instance.status,
        customStatus=value(instance.custom_status),
        reason=_reason(instance, lost),
        tags=instance.tags,
        failure=None if instance.failure is None else _failures.decode(instance.failure),
    )


def _reason(instance: Instance, lost: Lost) -> str | None:
    """Return the instance's reason, and what is lost of what the status shows."""
    shown = {"input": instance.input, "output": instance.output, "custom status": instance.custom_status}
    lines = [f"its {what} is {lost[key]}" for what, datum in shown.items() if (key := payload_of(datum) or "") in lost]
    return "\n".join([*([instance.reason] if instance.reason else []), *lines]) or None
