"""Telling orchestrations: events, pauses, their end, their way back, their deletion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from perdure.client.arguments import instance_query
from perdure.client.hub_client import HubClient
from perdure.client.purging import Purging, check_purgeable
from perdure.client.status import PurgeHistoryResult
from perdure.core.data import to_json
from perdure.core.messages import RaiseEvent, Resume, Rewind, Suspend, Terminate
from perdure.core.naming import check_instance_id, check_text
from perdure.core.rewinding import is_inside_section
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.engine.journal import Journal
from perdure.engine.settings import EngineSettings
from perdure.errors import InstanceEndedError, InstanceNotEndedError

_REASON_LIMIT = 4_000


class Tells(HubClient):
    """The part of the client that tells."""

    async def raise_event(self, instance_id: str, event_name: str, event_data: Any = None) -> None:
        """Send an external event to an instance. It is kept until the orchestrator waits for an event of this name.

        Args:
            instance_id: the instance.
            event_name: the event's name; its case is ignored.
            event_data: anything that has a JSON form.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InstanceEndedError: it has ended.
            DataError: the data have no JSON form.
        """
        if not check_text(event_name, "an external event's name"):
            raise ValueError("an external event's name can't be empty")
        await self._active(instance_id, f"it takes no event '{event_name}'")
        text = None if event_data is None else to_json(event_data, f"the data of event '{event_name}'")
        datum = await self._payloads.offload(instance_id, text)
        await self._mail.send(RaiseEvent(to=instance_id, id=self._new_id(), name=event_name, data=datum))

    async def terminate(self, instance_id: str, reason: str, *, recursive: bool = True) -> None:
        """End an instance at its next turn. Activities that run are not stopped, but their results are dropped.

        Args:
            instance_id: the instance.
            reason: becomes its output; at most 4,000 characters.
            recursive: terminate its child orchestrations, too.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InstanceEndedError: it has ended by itself.
        """
        check_text(reason, "the reason of a termination", _REASON_LIMIT)
        instance = await self._active(instance_id, "there is nothing to terminate")
        await self._mail.send(
            Terminate(
                to=instance_id,
                id=self._new_id(),
                reason=reason,
                recursive=recursive,
                execution_id=instance.execution_id,
            )
        )

    async def suspend(self, instance_id: str, reason: str) -> None:
        """Pause an instance: what comes for it is recorded and waits until it is resumed. Activities that run go on.

        Args:
            instance_id: the instance.
            reason: shown in its history; at most 4,000 characters.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InstanceEndedError: it has ended.
        """
        check_text(reason, "the reason of a suspension", _REASON_LIMIT)
        await self._active(instance_id, "there is nothing to suspend")
        await self._mail.send(Suspend(to=instance_id, id=self._new_id(), reason=reason))

    async def resume(self, instance_id: str, reason: str) -> None:
        """End the pause of an instance; one that is not suspended just goes on. Arguments and errors as `suspend`."""
        check_text(reason, "the reason of a resumption", _REASON_LIMIT)
        await self._active(instance_id, "there is nothing to resume")
        await self._mail.send(Resume(to=instance_id, id=self._new_id(), reason=reason))

    async def rewind(self, instance_id: str, reason: str) -> None:
        """Have a failed instance go back to before what failed it, and on from there: failed activities are run again,
        failed sub-orchestrations go back, too. See docs/failures.md.

        Args:
            instance_id: the instance.
            reason: shown in its history; at most 4,000 characters.

        Raises:
            InstanceNotFoundError: there is no such instance.
            InstanceEndedError: it has ended, but not failed; or it has failed inside a critical section, whose locks it
                can't be given back.
            InstanceNotEndedError: it has not ended.
        """
        check_text(reason, "the reason of a rewind", _REASON_LIMIT)
        instance = await self._existing(check_instance_id(instance_id))
        if instance.status != OrchestrationRuntimeStatus.Failed:
            error = InstanceEndedError if instance.status in ENDED else InstanceNotEndedError
            raise error(
                f"instance '{instance_id}' ('{instance.name}') is {instance.status}: only failed ones can be rewound"
            )
        await self._check_section(instance_id)
        await self._mail.send(
            Rewind(to=instance_id, id=self._new_id(), execution_id=instance.execution_id, reason=reason)
        )

    async def _check_section(self, instance_id: str) -> None:
        journal = Journal(self._storage, instance_id, EngineSettings())
        await journal.load()
        if journal.row is not None and is_inside_section(journal.state.turns):
            raise InstanceEndedError(
                f"instance '{instance_id}' ('{journal.instance.name}') failed inside a critical section, whose "
                f"entities others may have locked since: it can't be rewound. Start it anew."
            )

    async def purge_instance_history(self, instance_id: str, *, recursive: bool = False) -> PurgeHistoryResult:
        """Delete an instance that has ended, with everything that is stored of it.

        Args:
            instance_id: the instance.
            recursive: delete its sub-orchestrations, too, and theirs: those of its last generation that have ended.

        Raises:
            InstanceNotEndedError: it has not ended.
        """
        check_instance_id(instance_id)
        return PurgeHistoryResult(await self._purging.one(instance_id, recursive=recursive))

    async def purge_instance_history_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Iterable[OrchestrationRuntimeStatus] | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        recursive: bool = False,
    ) -> PurgeHistoryResult:
        """Delete all ended instances that meet every condition given; see `get_status_by`.

        Args:
            created_time_from: created at this time or later; naive times mean UTC.
            created_time_to: created at this time or earlier.
            runtime_status: in one of these statuses; None or none at all means any that instances end with.
            tags: with these tags.
            recursive: see `purge_instance_history`.

        Raises:
            ValueError: a status is asked for that is not one of ended instances.
        """
        query = instance_query(created_time_from, created_time_to, runtime_status, tags=tags)
        query = msgspec.structs.replace(query, statuses=check_purgeable(query.statuses))
        return PurgeHistoryResult(await self._purging.all(query, recursive=recursive))

    @property
    def _purging(self) -> Purging:
        return Purging(self._storage, self._dispatch, self._clock)
