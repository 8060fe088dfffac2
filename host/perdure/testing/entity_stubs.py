"""The entities around an orchestrator in a trial: stubs, and real ones whose states live in the trial."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from perdure.core.actions import EntityCalled
from perdure.core.data import from_json, to_json
from perdure.core.entities.effects import OrchestrationBegun, SignalSent
from perdure.core.entities.performing import EntityDefinition, Outcome
from perdure.core.entity_id import EntityId, instance_id_of, is_entity_id
from perdure.core.failure import Failure
from perdure.core.naming import name_of
from perdure.core.typed import read_as
from perdure.engine.registry import Registry
from perdure.errors import PerdureError, UnknownFunctionError
from perdure.testing.entity_run import BegunOrchestration, EntityCall, begun_of
from perdure.testing.entity_running import Stage
from perdure.testing.functions import Functions, add_entity, entity_definition, is_entity, named
from perdure.testing.stubs import Awaiting, outcome_of, stub_function

_LONGEST_CHAIN = 10_000
"""Signals that follow from one another; more are taken for a loop without end."""

Stub = Callable[[EntityCall], Any]


class EntityStubs:
    """Answers what orchestrators ask of entities.

    Args:
        registry: has the entities that are run; those that the test gives are added.
        given: what the test gives, see `run_orchestrator`.
        states: the states that entities begin with, by entity.
        awaiting: awaits what async functions return.
    """

    def __init__(
        self, registry: Registry, given: Functions | None, states: Mapping[Any, Any] | None, awaiting: Awaiting
    ) -> None:
        self._registry = registry
        self._awaiting = awaiting
        self._stage = Stage(awaiting)
        self._answers: dict[str, Stub | EntityDefinition] = {}
        """By folded name, or by instance id."""
        self._states = {
            instance_id_of(entity): to_json(state, f"the state of entity '{entity}'")
            for entity, state in (states or {}).items()
        }
        self._delayed: list[tuple[datetime, int, SignalSent]] = []
        self._signals = 0
        self.begun: list[BegunOrchestration] = []
        """What real entities have started."""
        self._add(given)

    def call(self, action: EntityCalled, caller: str, now: datetime) -> str | Failure:
        """Return what an operation answers: the JSON of its result, or its failure.

        Raises:
            UnknownFunctionError: there is neither a stub nor an entity.
        """
        self.pass_time(now)
        answer = self._answer(action.entity)
        if answer is None:
            name = EntityId.parse(action.entity).name
            raise UnknownFunctionError(
                f"orchestrator '{caller}' calls operation '{action.operation}' of entity '{action.entity}', which has "
                f"no stub: give entities={{'{name}': ...}} a value, an exception, a function, a dictionary by "
                f"operation or the entity, or give the app"
            )
        if isinstance(answer, EntityDefinition):
            outcome = self._perform(answer, action.entity, action.operation, action.input, now)
            return outcome.failure if outcome.failure is not None else outcome.result or "null"
        call = EntityCall(EntityId.parse(action.entity), action.operation, from_json(action.input))
        what = f"the result of operation '{call.operation}' of entity '{call.entity}'"
        return outcome_of(lambda: to_json(self._awaiting.result(answer(call)), what))

    def signal(self, signal: SignalSent, now: datetime) -> None:
        """Have a real entity perform an operation, now or at its time; stubs are not signalled."""
        if signal.due is not None and signal.due > now:
            self._signals += 1
            heapq.heappush(self._delayed, (signal.due, self._signals, signal))
            return
        answer = self._answer(signal.entity)
        if isinstance(answer, EntityDefinition):
            self._perform(answer, signal.entity, signal.operation, signal.input, now)

    def pass_time(self, now: datetime) -> None:
        """Perform what has been due until now."""
        while self._delayed and self._delayed[0][0] <= now:
            due, _, signal = heapq.heappop(self._delayed)
            self.signal(signal, due)

    def states(self) -> dict[EntityId, Any]:
        """Return the states of the entities that have one, as plain JSON."""
        return {EntityId.parse(entity): from_json(text) for entity, text in self._states.items()}

    # ---- its own ---------------------------------------------------------------------------------------------------

    def _add(self, given: Functions | None) -> None:
        if isinstance(given, Mapping):
            for key, answer in given.items():
                self._put(key, answer)
            return
        for name, _, entity in named(given, "entity"):
            add_entity(self._registry, name, entity)

    def _put(self, key: Any, answer: Any) -> None:
        """Have something answer for the entities of a name, or for one entity."""
        if isinstance(key, EntityId) or (isinstance(key, str) and is_entity_id(key)):
            where = instance_id_of(key)
        else:
            name = name_of(key, "entity")
            where = name.casefold()
            known = answer if is_entity(answer) else key
            if not isinstance(known, str) and (known is answer or name not in self._registry.entities):
                add_entity(self._registry, name, known)  # for its types
        if is_entity(answer):
            self._answers[where] = entity_definition(answer)
        elif isinstance(answer, Mapping):
            self._answers[where] = self._by_operation(where, answer)
        else:
            self._answers[where] = stub_function(answer)

    def _by_operation(self, where: str, answers: Mapping[str, Any]) -> Stub:
        stubs = {operation.casefold(): stub_function(answer) for operation, answer in answers.items()}

        def answer(call: EntityCall) -> Any:
            stub = stubs.get(call.operation.casefold())
            if stub is None:
                known = ", ".join(f"'{operation}'" for operation in answers)
                raise UnknownFunctionError(f"the stub of entity '{where}' has no '{call.operation}'; it has: {known}")
            hint = self._registry.entity_operation(call.entity.name, call.operation).input
            return stub(read_as(to_json(call.input), hint, f"the input of operation '{call.operation}'"))

        return answer

    def _answer(self, entity: str) -> Stub | EntityDefinition | None:
        name = EntityId.parse(entity).name
        answer = self._answers.get(entity) or self._answers.get(name.casefold())
        if answer is None and name in self._registry.entities:
            return self._registry.entities.get(name)
        return answer

    def _perform(
        self, definition: EntityDefinition, entity: str, operation: str, input_: str | None, now: datetime
    ) -> Outcome:
        """Perform an operation, and then what follows from its signals. Returns its outcome."""
        first: Outcome | None = None
        waiting = [(definition, SignalSent(entity, operation, input_))]
        for count, (its_definition, signal) in enumerate(waiting):
            if count == _LONGEST_CHAIN:
                raise PerdureError(f"{count} signals follow from '{operation}' of entity '{entity}': is there an end?")
            outcome = self._perform_one(its_definition, signal, now)
            first = first or outcome
            for effect in outcome.effects:
                if isinstance(effect, OrchestrationBegun):
                    self.begun.append(begun_of(effect))
                elif effect.due is not None and effect.due > now:
                    self.signal(effect, now)
                elif isinstance(answer := self._answer(effect.entity), EntityDefinition):
                    waiting.append((answer, effect))
        assert first is not None  # noqa: S101 - there is at least one
        return first

    def _perform_one(self, definition: EntityDefinition, signal: SignalSent, now: datetime) -> Outcome:
        given = EntityId.parse(signal.entity)
        entity_id = EntityId(self._registry.entities.written(given.name), given.key)
        state = self._states.pop(signal.entity, None)
        outcome = self._stage.perform(definition, entity_id, signal.operation, signal.input, state=state, now=now)
        if outcome.state is not None:
            self._states[signal.entity] = outcome.state
        return outcome
