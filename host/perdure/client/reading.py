"""Reading instances out of the store as clients see them: payloads in place of references, nothing that is going."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from perdure.client.history_view import data_in, history_events, with_values
from perdure.client.status import DurableOrchestrationStatus
from perdure.core.data import from_json, payload_of
from perdure.core.failure import Failure
from perdure.engine.journal import Journal
from perdure.engine.settings import EngineSettings
from perdure.storage.protocol import PayloadMissing, Storage
from perdure.storage.rows import Instance

_FETCHES_AT_ONCE = 16
_failures = msgspec.json.Decoder(Failure)


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
        it has not, the payload has vanished: the status says so.

        Args:
            instance: its columns.
            show_input: include its input.
            complete: raise PayloadMissing instead if a payload has vanished.
        """
        while True:
            texts, gone = await self._fetch(instance.instance_id, _data_of(instance, show_input=show_input))
            if gone:
                newer = await self.find(instance.instance_id)
                if newer is None:
                    return DurableOrchestrationStatus()
                if newer.commit != instance.commit:
                    instance = newer
                    continue
                if complete:
                    raise PayloadMissing(_reason(instance, gone))
            return _described(instance, texts, gone, show_input=show_input)

    async def status_with_history(
        self, instance_id: str, *, show_results: bool, show_input: bool
    ) -> DurableOrchestrationStatus:
        """Describe an instance with the history of its present generation; a falsy status if it does not exist.

        Raises:
            StoredDataError: the history can't be read.
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
            texts, gone = await self._fetch(instance_id, data)
            if gone and instance.commit != commit:
                commit = instance.commit
                continue
            status = _described(instance, texts, gone, show_input=show_input)
            status.history = with_values(events, texts)
            return status

    async def _fetch(self, instance_id: str, data: Sequence[str | None]) -> tuple[dict[str, str], list[str]]:
        """Return the texts of the payloads that `data` refer to, by payload id, and the ids of those that are gone."""
        ids = list(dict.fromkeys(payload_id for datum in data if (payload_id := payload_of(datum)) is not None))

        async def fetch(payload_id: str) -> str | None:
            async with self._fetches:
                try:
                    return (await self._storage.get_payload(instance_id, payload_id)).decode()
                except PayloadMissing:
                    return None

        found = dict(zip(ids, await asyncio.gather(*map(fetch, ids)), strict=True))
        texts = {payload_id: text for payload_id, text in found.items() if text is not None}
        return texts, [payload_id for payload_id in ids if payload_id not in texts]


def _data_of(instance: Instance, *, show_input: bool) -> list[str | None]:
    return [instance.output, instance.custom_status, *([instance.input] if show_input else [])]


def _described(
    instance: Instance, texts: Mapping[str, str], gone: Sequence[str], *, show_input: bool
) -> DurableOrchestrationStatus:
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
        reason=_reason(instance, gone),
        tags=instance.tags,
        failure=None if instance.failure is None else _failures.decode(instance.failure),
    )


def _reason(instance: Instance, gone: Sequence[str]) -> str | None:
    """Return the instance's reason, and what has vanished of what the status shows."""
    shown = {"input": instance.input, "output": instance.output, "custom status": instance.custom_status}
    lines = [
        f"its {what} is gone: payload '{payload_of(datum)}' does not exist"
        for what, datum in shown.items()
        if payload_of(datum) in gone
    ]
    return "\n".join([*([instance.reason] if instance.reason else []), *lines]) or None
