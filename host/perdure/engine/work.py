"""Work items: activities that came through the queue.

If the process dies before the outcome is queued, the work item comes again and the activity runs again; if it dies
between that and the acknowledgement, the outcome is queued twice and the instance drops the second one.
"""

from __future__ import annotations

import logging

import msgspec

from perdure.core.messages import ActivityCall, Completion, WorkItem
from perdure.core.outbox import execution_of
from perdure.engine.activities import ActivityRunner, lost
from perdure.engine.blocking import delay_for_others, waited_for_function
from perdure.engine.dispatch import Dispatch
from perdure.engine.journal import Journal
from perdure.engine.settings import EngineSettings
from perdure.storage.protocol import Storage

_log = logging.getLogger("perdure.activities")


class WorkDesk:
    """Runs work items for one worker."""

    def __init__(self, storage: Storage, settings: EngineSettings, runner: ActivityRunner, dispatch: Dispatch) -> None:
        self._storage = storage
        self._settings = settings
        self._runner = runner
        self._dispatch = dispatch

    async def handle(self, item: WorkItem, dequeue_count: int) -> None:
        """Run the item's activities and queue their outcomes; it may be acknowledged when this returns."""
        if dequeue_count > self._settings.max_deliveries:
            await self.give_up(item, dequeue_count - 1)
            return
        came_before = item.again or dequeue_count > 1
        for call in item.calls:
            if came_before and call.no in await self._finished(item):
                continue
            if self._runner.knows(call.name) or waited_for_function(item.tries, self._settings):
                outcome = await self._runner.run(item.instance_id, item.execution, call)
                await self._dispatch.outcome(item.instance_id, item.execution, outcome)
            else:
                await self._put_back(item, call)

    async def _put_back(self, item: WorkItem, call: ActivityCall) -> None:
        """Queue a call of an activity that this app does not have for later: a deployment may bring it.

        Should the process die before this message is acknowledged there are two of the call, and whoever receives them
        looks at the row first.
        """
        later = msgspec.structs.replace(item, calls=[call], again=True, tries=item.tries + 1)
        delay = delay_for_others(item.tries, self._settings)
        _log.warning(
            "activity '%s' of instance '%s' is not in this app: it is put back for %g s",
            call.name,
            item.instance_id,
            delay,
        )
        await self._dispatch.work(later, delay)

    async def give_up(self, item: WorkItem, deliveries: int) -> None:
        """Rule 6: an activity that was delivered too often becomes a failed task."""
        finished = await self._finished(item)
        for call in item.calls:
            if call.no not in finished:
                outcome = Completion(call.no, failure=lost(call.name, deliveries))
                await self._dispatch.outcome(item.instance_id, item.execution, outcome)

    async def _finished(self, item: WorkItem) -> set[int]:
        """Return the numbers of those calls that nobody waits for any more."""
        journal = Journal(self._storage, item.instance_id, self._settings)
        await journal.load()
        numbers = {call.no for call in item.calls}
        if journal.row is None or item.execution != execution_of(journal.sender.execution_id, journal.state.generation):
            return numbers
        return {no for no in numbers if journal.state.open(no) is None}
