"""Work items: activities that came through the queue.

If the process dies before an outcome is queued, the work item comes again and the activity runs again; if it dies
between that and the acknowledgement, the outcome is queued twice and the instance drops the second one. What is put
back is queued before the item is acknowledged: should the process die in between, there are two of it, and who receives
the item again looks at the row first.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

import msgspec

from perdure.core.messages import ActivityCall, Completion, WorkItem
from perdure.core.outbox import execution_of
from perdure.engine.activities import ActivityRunner, lost
from perdure.engine.blocking import delay_for_others, waited_for_function
from perdure.engine.dispatch import Dispatch
from perdure.engine.journal import Journal
from perdure.engine.placement import ENOUGH, batches
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
        calls: Sequence[ActivityCall] = item.calls
        if item.again or dequeue_count > 1:
            finished = await self._finished(item)
            calls = [call for call in calls if call.no not in finished]
        if len(calls) > 1 and (dequeue_count > 1 or item.tries):
            # one of them may have ended the process that had this item before: the others are not to go with it
            await self._put_back(item, [[call] for call in calls], again=True)
            return
        ours = [call for call in calls if self._has(item, call)]
        for call in calls:
            if call not in ours:
                await self._wait_for_function(item, call)
        await self._run(item, ours)

    def _has(self, item: WorkItem, call: ActivityCall) -> bool:
        return self._runner.knows(call.name) or waited_for_function(item.tries, self._settings)

    async def _run(self, item: WorkItem, calls: Sequence[ActivityCall]) -> None:
        outcomes: list[Completion] = []
        try:
            await self._run_in_turn(item, deque(calls), outcomes)
        except Exception:
            await self._answer(item, outcomes)  # what is done is done; the item comes again for the others
            raise
        await self._answer(item, outcomes)

    async def _run_in_turn(self, item: WorkItem, calls: deque[ActivityCall], outcomes: list[Completion]) -> None:
        """Run activities one after the other. Those that turn out to be too much for one batch go back to the queue."""
        loop, estimate = asyncio.get_running_loop(), self._runner.durations.of
        look_at = loop.time() + ENOUGH / 2
        while calls:
            running = asyncio.ensure_future(self._runner.run(item.instance_id, item.execution, calls.popleft()))
            try:
                if calls and not (await asyncio.wait({running}, timeout=ENOUGH))[0]:
                    await self._put_back(item, batches(calls, estimate, trusting=False))
                    calls.clear()
                    await self._answer(item, outcomes)
                    outcomes.clear()
                outcomes.append(await running)
            finally:
                running.cancel()
            if calls and loop.time() >= look_at:
                look_at = loop.time() + ENOUGH / 2
                first, *others = batches(calls, estimate)
                calls = deque(first)
                await self._put_back(item, others)

    async def _answer(self, item: WorkItem, outcomes: list[Completion]) -> None:
        if outcomes:
            await self._dispatch.outcomes(item.instance_id, item.execution, outcomes)

    async def _put_back(self, item: WorkItem, together: list[list[ActivityCall]], *, again: bool = False) -> None:
        """Queue activities of the item anew, those of a list in one item."""
        again = again or item.again
        await self._dispatch.work([msgspec.structs.replace(item, calls=calls, again=again) for calls in together])

    async def _wait_for_function(self, item: WorkItem, call: ActivityCall) -> None:
        """Queue a call of an activity that this app does not have for later: a deployment may bring it."""
        later = msgspec.structs.replace(item, calls=[call], again=True, tries=item.tries + 1)
        delay = delay_for_others(item.tries, self._settings)
        _log.warning(
            "activity '%s' of instance '%s' is not in this app: it is put back for %g s",
            call.name,
            item.instance_id,
            delay,
        )
        await self._dispatch.work([later], delay)

    async def give_up(self, item: WorkItem, deliveries: int) -> None:
        """Rule 6: an activity that was delivered too often becomes a failed task."""
        finished = await self._finished(item)
        failed = [
            Completion(call.no, failure=lost(call.name, deliveries)) for call in item.calls if call.no not in finished
        ]
        await self._answer(item, failed)

    async def _finished(self, item: WorkItem) -> set[int]:
        """Return the numbers of those calls that nobody waits for any more."""
        journal = Journal(self._storage, item.instance_id, self._settings)
        await journal.load()
        numbers = {call.no for call in item.calls}
        if journal.row is None or item.execution != execution_of(journal.sender.execution_id, journal.state.generation):
            return numbers
        return {no for no in numbers if journal.state.open(no) is None}
