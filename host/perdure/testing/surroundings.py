"""What surrounds an orchestrator in a trial: the functions and stubs that answer what it calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from perdure.core.actions import SubOrchestrationScheduled, TaskScheduled
from perdure.core.data import to_json
from perdure.core.failure import Failure
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.core.typed import read_as
from perdure.engine.clock import new_id
from perdure.engine.registry import ActivityContext, Registry, current_activity
from perdure.errors import UnknownFunctionError
from perdure.storage.memory import MemoryStorage
from perdure.storage.protocol import Storage
from perdure.storage.rows import Instance
from perdure.streaming import StreamDesk
from perdure.testing.entity_stubs import EntityStubs
from perdure.testing.functions import shown_name
from perdure.testing.stubs import Awaiting, outcome_of


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a trial and those of its sub-orchestrations share."""

    registry: Registry
    """Activities, stubs among them, and the orchestrators that are run."""
    stubs: Mapping[str, Callable[[Any], Any]]
    """What answers in the place of sub-orchestrations, by their folded names."""
    entities: EntityStubs
    awaiting: Awaiting
    max_turns: int
    check_replay: bool
    store: Storage = field(default_factory=lambda: MemoryStorage("trial"))
    """Takes the streams of activities; nobody reads them."""

    def activity(self, action: TaskScheduled, caller: Instance, execution: str) -> str | Failure:
        """Return what an activity answers: the JSON of its result, or its failure.

        Raises:
            UnknownFunctionError: there is neither a stub nor a function.
        """
        name = action.name
        try:
            function = self.registry.activities.get(name)
        except UnknownFunctionError:
            shown = shown_name(name)
            raise UnknownFunctionError(
                f"orchestrator '{caller.name}' calls activity '{shown}', which has no stub: give "
                f"activities={{'{shown}': ...}} a value, an exception or a function, or give the app"
            ) from None
        streams = StreamDesk(self.store, new_id)
        context = ActivityContext(caller.instance_id, execution, action.no, name, action.tags, action.first, streams)
        hint = self.registry.activities.hints(name).input

        def call() -> str:
            current_activity.set(context)
            value = read_as(action.input, hint, f"the input of activity '{name}'")
            return to_json(self.awaiting.result(function(value)), f"the result of activity '{name}'")

        return outcome_of(call)

    def is_stubbed(self, name: str) -> bool:
        """Whether a stub answers in the place of a sub-orchestration."""
        return name.casefold() in self.stubs

    def sub_orchestration(self, action: SubOrchestrationScheduled) -> str | Failure:
        """Return what the stub of a sub-orchestration answers."""
        name = action.name
        hint = self.registry.orchestrators.hints(name).input

        def call() -> str:
            value = read_as(action.input, hint, f"the input of sub-orchestration '{name}'")
            stub = self.stubs[name.casefold()]
            return to_json(self.awaiting.result(stub(value)), f"the output of sub-orchestration '{name}'")

        return outcome_of(call)

    def check_orchestrator(self, name: str, caller: str) -> None:
        """Raise UnknownFunctionError unless there is an orchestrator of this name."""
        if name not in self.registry.orchestrators:
            raise UnknownFunctionError(
                f"orchestrator '{caller}' calls sub-orchestration '{name}', which has no stub: give "
                f"sub_orchestrations={{'{name}': ...}} a value, an exception, a function or the orchestrator, or give "
                f"the app"
            )


def new_instance(
    instance_id: str,
    name: str,
    now: datetime,
    *,
    execution_id: str,
    input_: str | None,
    version: str | None,
    parent_id: str | None,
) -> Instance:
    """Return the columns of an instance that begins now."""
    return Instance(
        instance_id=instance_id,
        name=name,
        execution_id=execution_id,
        status=OrchestrationRuntimeStatus.Running,
        created_at=now,
        updated_at=now,
        version=version,
        input=input_,
        parent_id=parent_id,
    )
