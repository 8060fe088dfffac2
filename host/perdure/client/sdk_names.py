"""The client's methods under the names, and with the arguments, of the Durable Task SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from perdure.client.asking import Asks
from perdure.client.entities import Entities
from perdure.client.poison import Poison
from perdure.client.reuse import ReuseId
from perdure.client.starting import Starts
from perdure.client.status import DurableOrchestrationStatus, PurgeHistoryResult
from perdure.client.telling import Tells
from perdure.core.data import to_json
from perdure.core.status import OrchestrationRuntimeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestrationQuery:
    """Conditions that instances must meet; see `Client.get_status_by`."""

    created_time_from: datetime | None = None
    created_time_to: datetime | None = None
    runtime_status: Iterable[OrchestrationRuntimeStatus] | None = None
    max_instance_count: int | None = None
    fetch_inputs_and_outputs: bool = False
    """Include inputs; outputs always are."""
    instance_id_prefix: str | None = None
    tags: Mapping[str, str] | None = None


class SdkNames(Starts, Asks, Tells, Entities, Poison):
    """The other names."""

    async def schedule_new_orchestration(
        self,
        orchestrator: str | Callable[..., Any],
        *,
        input: Any = None,  # noqa: A002 - the SDK's own name
        instance_id: str | None = None,
        start_at: datetime | None = None,
        reuse_id_policy: ReuseId | str | None = None,
        tags: Mapping[str, str] | None = None,
        version: str | None = None,
    ) -> str:
        """See `start_new`."""
        return await self.start_new(
            orchestrator, instance_id, input, version, start_at=start_at, tags=tags, reuse=reuse_id_policy
        )

    async def get_orchestration_state(
        self, instance_id: str, *, fetch_payloads: bool = True
    ) -> DurableOrchestrationStatus | None:
        """Return the status of an instance, None if there is no such instance; see `get_status`."""
        return await self.get_status(instance_id, show_input=fetch_payloads) or None

    async def get_all_orchestration_states(
        self, orchestration_query: OrchestrationQuery | None = None
    ) -> list[DurableOrchestrationStatus]:
        """Return the status of all instances that meet the conditions; see `get_status_by`."""
        query = OrchestrationQuery() if orchestration_query is None else orchestration_query
        if not isinstance(query, OrchestrationQuery):
            raise TypeError(f"instances are asked for by an OrchestrationQuery, not by {type(query).__name__}")
        found = await self.get_status_by(
            query.created_time_from,
            query.created_time_to,
            query.runtime_status,
            query.instance_id_prefix,
            tags=query.tags,
            show_input=query.fetch_inputs_and_outputs,
        )
        return found[: query.max_instance_count]

    async def get_orchestration_history(self, instance_id: str) -> list[dict[str, Any]]:
        """Return an instance's history events, oldest first; none if there is no such instance. See `get_status`."""
        status = await self.get_status(instance_id, True, True, True)
        return status.history or []

    async def wait_for_orchestration_start(
        self,
        instance_id: str,
        *,
        fetch_payloads: bool = False,
        timeout: float | timedelta | None = 60,  # noqa: ASYNC109 - the SDK's own
    ) -> DurableOrchestrationStatus:
        """See `wait_for_start`."""
        return await self.wait_for_start(instance_id, timeout, show_input=fetch_payloads)

    async def wait_for_orchestration_completion(
        self,
        instance_id: str,
        *,
        fetch_payloads: bool = True,
        timeout: float | timedelta | None = 60,  # noqa: ASYNC109 - the SDK's own
    ) -> DurableOrchestrationStatus:
        """See `wait_for_completion`."""
        return await self.wait_for_completion(instance_id, timeout, show_input=fetch_payloads)

    async def raise_orchestration_event(self, instance_id: str, event_name: str, *, data: Any = None) -> None:
        """See `raise_event`."""
        await self.raise_event(instance_id, event_name, data)

    async def terminate_orchestration(self, instance_id: str, *, output: Any = None, recursive: bool = True) -> None:
        """See `terminate`: the reason is the output, as text; anything else is written as JSON."""
        reason = output if isinstance(output, str) else "" if output is None else to_json(output, "the output")
        await self.terminate(instance_id, reason, recursive=recursive)

    async def suspend_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """See `suspend`."""
        await self.suspend(instance_id, reason or "")

    async def resume_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """See `resume`."""
        await self.resume(instance_id, reason or "")

    async def rewind_orchestration(self, instance_id: str, *, reason: str | None = None) -> None:
        """See `rewind`."""
        await self.rewind(instance_id, reason or "")

    async def restart_orchestration(self, instance_id: str, *, restart_with_new_instance_id: bool = False) -> str:
        """See `restart`; the same id is the default here."""
        return await self.restart(instance_id, restart_with_new_instance_id)

    async def purge_orchestration(self, instance_id: str, recursive: bool = True) -> PurgeHistoryResult:
        """See `purge_instance_history`; recursion is the default here."""
        return await self.purge_instance_history(instance_id, recursive=recursive)

    async def purge_orchestrations_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Iterable[OrchestrationRuntimeStatus] | None = None,
        recursive: bool = False,
    ) -> PurgeHistoryResult:
        """See `purge_instance_history_by`."""
        return await self.purge_instance_history_by(
            created_time_from, created_time_to, runtime_status, recursive=recursive
        )
