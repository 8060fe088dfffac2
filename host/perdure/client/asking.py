"""Asking after orchestrations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from perdure.client.arguments import instance_query, seconds_of
from perdure.client.hub_client import HubClient
from perdure.client.reading import readable
from perdure.client.status import DurableOrchestrationStatus
from perdure.core.entity_id import is_entity_id
from perdure.core.naming import check_instance_id
from perdure.core.status import ENDED, OrchestrationRuntimeStatus
from perdure.jitter import jittered
from perdure.storage.protocol import NotifiesOfChanges
from perdure.storage.rows import Instance, InstanceQuery

_FIRST_LOOK = 0.02
_LONGEST_PAUSE = 1.0
_GROWTH = 1.5
_SHARE = 0.005
"""Seconds between two looks, on average, of all who wait beside a worker: most are told without looking."""
_LARGEST_PAGE = 1_000


class StatusPage(msgspec.Struct, frozen=True):
    """One page of a query."""

    instances: list[DurableOrchestrationStatus]
    """It may be shorter than asked for, even empty, and not be the last."""
    continuation: str | None
    """Give it to the next call; None on the last page."""


class Asks(HubClient):
    """The part of the client that asks."""

    async def get_status(
        self,
        instance_id: str,
        show_history: bool = False,
        show_history_output: bool = False,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus:
        """Return the status of an instance; a falsy one if there is no such instance.

        Args:
            instance_id: the instance.
            show_history: include the history of its present generation.
            show_history_output: include results in the history.
            show_input: include its input, and inputs in the history.
        """
        if is_entity_id(check_instance_id(instance_id)):
            return DurableOrchestrationStatus()
        if show_history:
            return await self._reader.status_with_history(
                instance_id, show_results=show_history_output, show_input=show_input
            )
        instance = await self._reader.find(instance_id)
        if instance is None:
            return DurableOrchestrationStatus()
        return await self._reader.status(instance, show_input=show_input)

    async def get_status_all(self) -> list[DurableOrchestrationStatus]:
        """Return the status of every orchestration in the hub, without inputs. Where there are many, `query` pages."""
        return await self.get_status_by()

    async def get_status_by(
        self,
        created_time_from: datetime | None = None,
        created_time_to: datetime | None = None,
        runtime_status: Iterable[OrchestrationRuntimeStatus] | None = None,
        instance_id_prefix: str | None = None,
        *,
        tags: Mapping[str, str] | None = None,
        show_input: bool = False,
    ) -> list[DurableOrchestrationStatus]:
        """Return the status of all orchestrations that meet every condition given. Where there are many, `query` pages.

        Args:
            created_time_from: created at this time or later; naive times mean UTC.
            created_time_to: created at this time or earlier.
            runtime_status: in one of these statuses; None or none at all means any.
            instance_id_prefix: whose id begins with this.
            tags: with these tags.
            show_input: include inputs.
        """
        query = instance_query(created_time_from, created_time_to, runtime_status, instance_id_prefix, tags)
        found: list[DurableOrchestrationStatus] = []
        continuation: str | None = None
        while True:
            page = await self.query(query, top=_LARGEST_PAGE, continuation=continuation, show_input=show_input)
            found += page.instances
            continuation = page.continuation
            if continuation is None:
                return found

    async def query(
        self,
        query: InstanceQuery | None = None,
        *,
        top: int = 100,
        continuation: str | None = None,
        show_input: bool = False,
    ) -> StatusPage:
        """Return one page of the instances that a query selects.

        Args:
            query: which; None selects all orchestrations.
            top: instances a page, at most 1,000.
            continuation: that of the page before.
            show_input: include inputs.

        Raises:
            ValueError: `top` is out of range, or the continuation comes from something else.
        """
        asked = InstanceQuery() if query is None else query
        page = await self._storage.query(asked, top=top, continuation=continuation)
        statuses = await readable(self._reader.status(each, show_input=show_input) for each in page.instances)
        return StatusPage([status for status in statuses if status], page.continuation)

    async def wait_for_completion(
        self,
        instance_id: str,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - it is the API's own
        *,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus:
        """Wait until an instance has completed, failed or been terminated, and return its status.

        Args:
            instance_id: the instance.
            timeout: seconds to wait at most; None waits for ever.
            show_input: include its input.

        Raises:
            InstanceNotFoundError: there is no such instance.
            TimeoutError: it has not ended in time.
            PayloadMissing: its input or output was stored apart, and has vanished or is damaged.
            ValueError: the timeout is NaN.
        """
        return await self._wait(instance_id, timeout, lambda instance: instance.status in ENDED, show_input=show_input)

    async def wait_for_start(
        self,
        instance_id: str,
        timeout: float | timedelta | None = None,  # noqa: ASYNC109 - it is the API's own
        *,
        show_input: bool = False,
    ) -> DurableOrchestrationStatus:
        """Wait until an instance is no longer Pending, and return its status; see `wait_for_completion`."""

        def begun(instance: Instance) -> bool:
            return instance.status != OrchestrationRuntimeStatus.Pending

        return await self._wait(instance_id, timeout, begun, show_input=show_input)

    async def _wait(
        self,
        instance_id: str,
        timeout: float | timedelta | None,  # noqa: ASYNC109 - as above
        there: Callable[[Instance], bool],
        *,
        show_input: bool,
    ) -> DurableOrchestrationStatus:
        check_instance_id(instance_id)
        seconds = seconds_of(timeout)
        deadline = None if seconds is None else self._clock.now() + timedelta(seconds=seconds)
        pause = _FIRST_LOOK
        tells = isinstance(self._storage, NotifiesOfChanges)
        told: Instance | None = None
        with self._notices.watch(instance_id, there) as watcher:
            while True:
                left = None if deadline is None else (deadline - self._clock.now()).total_seconds()
                spare = not tells and pause < _LONGEST_PAUSE and (left is None or left > 0)
                instance = told or await self._look(instance_id, there, spare=spare)
                if there(instance):
                    status = await self._reader.status(instance, show_input=show_input, complete=True)
                    if status:
                        return status
                    told = None
                    continue  # purged at this very moment
                if left is not None and left <= 0:
                    raise TimeoutError(_still_running(instance, seconds))
                if isinstance(self._storage, NotifiesOfChanges):
                    await self._storage.wait_for_change(left)
                    continue
                wait = self._spread(pause)
                told = await watcher.next(self._clock.sleep(wait if left is None else min(wait, left)))
                if told is not None and told.execution_id != instance.execution_id:
                    told = None  # of an execution that the present one may have replaced already
                pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    async def _look(self, instance_id: str, there: Callable[[Instance], bool], *, spare: bool) -> Instance:
        """Return the instance's columns. What this process has just started, and for a while what its worker has in
        hand, needn't be read to know that it is not there yet. Raises InstanceNotFoundError.
        """
        if spare:
            known = None if self._worker is None else self._worker.in_hand(instance_id)
            known = known or self._notices.just_started(instance_id)
            if known is not None and not known.deleting and not there(known):
                return known
        return await self._existing(instance_id)

    def _spread(self, pause: float) -> float:
        """Return how long to wait until the next look: not in step with others, and longer where many wait who will
        be told.
        """
        if self._worker is not None:
            pause = min(max(pause, self._notices.watching * _SHARE), _LONGEST_PAUSE)
        return jittered(pause)


def _still_running(instance: Instance, seconds: float | None) -> str:
    why = f" ({instance.reason})" if instance.reason else ""
    return (
        f"instance '{instance.instance_id}' ('{instance.name}') is still {instance.status} after {seconds:g} s{why}: "
        f"wait on, or look at its history"
    )
