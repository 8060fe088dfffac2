"""Executors: who runs orchestrator code for a session. The one here runs it in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from perdure.core.history import (
    EntityOperationCompleted,
    Event,
    EventRaised,
    SubOrchestrationCompleted,
    TaskCompleted,
    Turn,
)
from perdure.core.replay import Decision, Orchestration
from perdure.core.streams import Flow
from perdure.engine.payloads import PayloadDesk
from perdure.engine.registry import Registry
from perdure.engine.watch import Watch, Watched
from perdure.storage.rows import Instance


class Execution(Protocol):
    """One generation, run as far as its history goes."""

    async def advance(self, now: datetime, events: Sequence[Event]) -> Decision:
        """Run a new turn. Afterwards the execution stands behind it, whether it is committed or not."""


class Executor(Protocol):
    """Runs orchestrator functions."""

    async def open(
        self,
        instance: Instance,
        execution: str,
        turns: Sequence[Turn],
        *,
        suspended: bool = False,
        flows: Mapping[str, Flow] | None = None,
    ) -> Execution:
        """Take an instance's orchestrator through its history.

        Args:
            instance: the instance's columns.
            execution: name of the generation.
            turns: the generation's history so far.
            suspended: whether it began in a pause.
            flows: the streams to entities that it goes on with.

        Raises:
            UnknownFunctionError: there is no such function.
            NonDeterminismError: its code no longer fits the history.
        """


class InProcessExecutor:
    """Runs the functions of a registry on the event loop of this process."""

    def __init__(self, registry: Registry, payloads: PayloadDesk, watch: Watch) -> None:
        self._registry = registry
        self._payloads = payloads
        self._watch = watch

    async def open(
        self,
        instance: Instance,
        execution: str,
        turns: Sequence[Turn],
        *,
        suspended: bool = False,
        flows: Mapping[str, Flow] | None = None,
    ) -> Execution:
        """See `Executor`."""
        orchestration = orchestration_of(self._registry, instance, execution, suspended=suspended, flows=flows)
        opened = _InProcess(orchestration, self._payloads, instance, self._watch)
        await opened.replay(turns)
        return opened


def orchestration_of(
    registry: Registry,
    instance: Instance,
    execution: str,
    *,
    suspended: bool = False,
    flows: Mapping[str, Flow] | None = None,
) -> Orchestration:
    """Return an instance's orchestration before its first turn; arguments and errors as `Executor.open`."""
    return Orchestration(
        registry.orchestrators.get(instance.name),
        instance_id=instance.instance_id,
        name=instance.name,
        execution=execution,
        version=instance.version,
        input_=instance.input,
        parent_instance_id=instance.parent_id,
        suspended=suspended,
        input_type=registry.orchestrators.hints(instance.name).input,
        types=registry,
        flows=flows,
    )


class _InProcess:
    def __init__(self, orchestration: Orchestration, payloads: PayloadDesk, instance: Instance, watch: Watch) -> None:
        self._orchestration = orchestration
        self._payloads = payloads
        self._owner = instance.instance_id
        self._input = instance.input
        self._name = instance.name
        self._watch = watch

    async def replay(self, turns: Sequence[Turn]) -> None:
        texts = await self._texts([event for turn in turns for event in turn.events])
        for turn in turns:
            if turn.events:
                with self._watched():
                    self._orchestration.replay(turn, texts)

    async def advance(self, now: datetime, events: Sequence[Event]) -> Decision:
        texts = await self._texts(events)
        with self._watched():
            return self._orchestration.advance(now, events, texts)

    def _watched(self) -> Watched:
        return self._watch.over("orchestrator", self._name, self._owner, ": it holds up everything in this process")

    async def _texts(self, events: Sequence[Event]) -> dict[str, str]:
        """Fetch the payloads of the events, and before the first turn that of the input."""
        data = [datum_of(event) for event in events]
        if self._input is not None and events:
            data.append(self._input)
            self._input = None
        return await self._payloads.fetch(self._owner, data)


def datum_of(event: Event) -> str | None:
    """Return the datum that an event brings, if it brings one."""
    match event:
        case TaskCompleted() | SubOrchestrationCompleted() | EntityOperationCompleted():
            return event.result
        case EventRaised():
            return event.data
        case _:
            return None
