"""Where operations run: `async def` ones on the event loop, others in a bounded pool of threads."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime

from perdure.core.entities.context import DurableEntityContext
from perdure.core.entities.durable_entity import DELETE
from perdure.core.entities.performing import EntityDefinition, Outcome, Performance
from perdure.core.entity_id import EntityId
from perdure.core.failure import Failure, failure_of
from perdure.core.messages import Operate
from perdure.engine.clock import NewId
from perdure.engine.delivery import WorkerStopped
from perdure.engine.watch import Watch


@dataclass(frozen=True, slots=True)
class Job:
    """Operations to perform on one entity, one after the other."""

    definition: EntityDefinition
    entity_id: EntityId
    state: str | None
    """JSON text of the state before the first."""
    operations: Sequence[Operate]
    inputs: Sequence[str | Failure | None]
    """JSON text of the input of each; or why it can't be had."""
    now: datetime


@dataclass(slots=True)
class _Progress:
    job: Job
    new_id: NewId
    state: str | None
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        return len(self.outcomes) == len(self.job.operations)

    @property
    def steps(self) -> int:
        """Operations that have been performed."""
        return len(self.outcomes)

    def __str__(self) -> str:
        operations = self.job.operations
        name = operations[min(len(self.outcomes), len(operations) - 1)].operation
        return f"operation '{name}' of entity '{self.job.entity_id}'"

    @property
    def next_is_async(self) -> bool:
        return self.job.definition.is_async(self.job.operations[len(self.outcomes)].operation)

    def begin_next(self) -> Performance | Outcome:
        """Return the next operation, ready to begin; or its outcome, if it need not run."""
        index = len(self.outcomes)
        operation, given = self.job.operations[index], self.job.inputs[index]
        if isinstance(given, Failure):
            return Outcome(self.state, failure=given)
        definition = self.job.definition
        if operation.delete and not isinstance(definition.function, type):
            return Outcome(None, "null")
        context = DurableEntityContext(
            self.job.entity_id,
            operation.operation,
            given,
            self.state,
            now=self.job.now,
            new_id=self.new_id,
            hints=definition.hints(DELETE if operation.delete else operation.operation),
        )
        return Performance(definition, context, self.state)

    def take(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.state = outcome.state


class EntityPerformer:
    """Performs operations for one worker.

    Args:
        limit: entities performing operations at once; sync ones have as many threads.
        new_id: source of ids.
        watch: tells of operations that do not come back.
    """

    def __init__(self, limit: int, new_id: NewId, watch: Watch) -> None:
        self._threads = ThreadPoolExecutor(limit, thread_name_prefix="perdure-entity")
        self._new_id = new_id
        self._watch = watch
        self._keeps = f": it keeps one of {limit} places"
        self._closed = False

    async def perform(self, job: Job) -> list[Outcome]:
        """Return the outcome of each operation.

        Raises:
            WorkerStopped: the worker has been stopped meanwhile, and what the operations did is void.
        """
        progress = _Progress(job, self._new_id, job.state)
        with self._watch.over_steps(progress, self._keeps):
            await self._perform(progress)
        if self._closed:
            raise WorkerStopped(f"this worker was stopped while entity '{job.entity_id}' was at work")
        return progress.outcomes

    async def _perform(self, progress: _Progress) -> None:
        while not progress.is_done:
            if progress.next_is_async:
                await _perform_here(progress)
                continue
            loop = asyncio.get_running_loop()
            unfinished = await loop.run_in_executor(self._threads, copy_context().run, _perform_in_thread, progress)
            if unfinished is not None:
                progress.take(await _awaited(unfinished, progress.state))

    def close(self) -> None:
        """Stop taking work; threads end with what they run, which has no outcome."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)


def _perform_in_thread(progress: _Progress) -> object:
    """Perform operations up to the next `async def` one. Returns what has to be awaited if one of them, unexpectedly,
    gave that out.
    """
    while not progress.is_done and not progress.next_is_async:
        ready = progress.begin_next()
        outcome = ready if isinstance(ready, Outcome) else ready.begin()
        if not isinstance(outcome, Outcome):
            return outcome
        progress.take(outcome)
    return None


async def _perform_here(progress: _Progress) -> None:
    ready = progress.begin_next()
    outcome = ready if isinstance(ready, Outcome) else ready.begin()
    progress.take(outcome if isinstance(outcome, Outcome) else await _awaited(outcome, progress.state))


async def _awaited(outcome: object, state: str | None) -> Outcome:
    assert inspect.isawaitable(outcome)  # noqa: S101 - nothing else comes from a performance that has not ended
    try:
        result = await outcome
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return Outcome(state, failure=failure_of(error))
    assert isinstance(result, Outcome)  # noqa: S101 - see `Performance.begin`
    return result
