"""Running an orchestrator with stubs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from perdure.core.data import to_json
from perdure.core.entity_id import EntityId, check_orchestration_id
from perdure.core.naming import check_text, name_of
from perdure.engine.registry import Registry
from perdure.testing.entity_stubs import EntityStubs
from perdure.testing.functions import Function, Functions, add_orchestrator, named, plain, registry_of
from perdure.testing.orchestrator_run import OrchestratorRun
from perdure.testing.stubs import Awaiting, stub_function
from perdure.testing.substitution import is_orchestrator, stand_in
from perdure.testing.surroundings import Surroundings, new_instance
from perdure.testing.trial import GivenEvent, Trial
from perdure.testing.virtual_time import EPOCH

Given = str | tuple[str] | tuple[str, Any] | tuple[str, Any, datetime | timedelta]
"""An external event: its name, its data, and when it comes (a time, or a while after the start)."""

_EXECUTION_ID = "trial"


def run_orchestrator(
    orchestrator: Function,
    input_: Any = None,
    *,
    activities: Functions | None = None,
    sub_orchestrations: Functions | None = None,
    entities: Functions | None = None,
    entity_states: Mapping[EntityId | str, Any] | None = None,
    events: Iterable[Given] = (),
    app: Any = None,
    instance_id: str = "test",
    parent_instance_id: str | None = None,
    version: str | None = None,
    now: datetime = EPOCH,
    generations: int | None = 1,
    may_wait: bool = False,
    max_turns: int = 10_000,
    check_replay: bool = True,
) -> OrchestratorRun:
    """Run an orchestrator by itself, with stubs for what it calls: no storage, no loop, no waiting.

    Activities and sub-orchestrations answer at once, and timers fire at once: `context.current_utc_datetime` moves to
    their time, but only when nothing else is left to do. Each turn is run again from its history, and compared.

    Args:
        orchestrator: the function, decorated or not: a generator, an `async def` function or a plain one.
        input_: its input.
        activities: what answers in the place of activities, by name or by the decorated function: a value is the
            result, an exception is raised, a function (async or not) is called with the input; `outcomes(...)` answers
            call by call. Or a list of activities that are run as they are. `call_http` is the activity "call_http":
            its input is the request, its result the response, `{"statusCode": 200, "headers": {}, "content": ""}`.
        sub_orchestrations: the same for sub-orchestrations; a generator function or a decorated orchestrator is run.
        entities: what answers calls of entities, by name, class, decorated function or `EntityId`: an entity class or
            decorated entity function is run, a dictionary answers by operation (a value, an exception, a function of
            the operation's input), another function is called with the `EntityCall`, another value is the result. Or a
            list of entities that are run. Stubs are not signalled; locks are granted at once.
        entity_states: states that entities which are run begin with, by `EntityId`.
        events: external events: `"name"`, `("name", data)` or `("name", data, when)`. Those without a time come one at
            a time, each as soon as nothing else is left to do; time does not pass before.
        app: an app, blueprint or registry: its activities, sub-orchestrations and entities are run unless they are
            stubbed.
        instance_id: id of the instance.
        parent_instance_id: id of its parent.
        version: its version.
        now: when it begins; a naive time means UTC.
        generations: how many to run at most: by default continue-as-new ends the run. None runs until the end.
        may_wait: return the run if it waits for something that never comes, rather than raise.
        max_turns: more turns than this are taken for a loop without end.
        check_replay: run each turn again.

    Raises:
        StuckError: it waits for something that never comes; the error says for what.
        NonDeterminismError: run again, it asks for something else; the error says what differs.
        UnknownFunctionError: it calls something that has no stub and is not in the app.
        DataError: the input, or an event's data, has no JSON form.
    """
    began = now.astimezone(UTC) if now.tzinfo else now.replace(tzinfo=UTC)
    name = name_of(orchestrator, "orchestrator")
    registry = registry_of(app)
    stubs: dict[str, Function] = {}
    for child, known, answer in named(sub_orchestrations, "orchestrator"):
        if is_orchestrator(answer):
            add_orchestrator(registry, child, answer)
        else:
            if known is not None:
                add_orchestrator(registry, child, known)
            stubs[child.casefold()] = stub_function(answer)
    add_orchestrator(registry, name, orchestrator)
    _add_activities(registry, activities)
    instance = new_instance(
        check_orchestration_id(instance_id),
        name,
        began,
        execution_id=_EXECUTION_ID,
        input_=None if input_ is None else to_json(input_, f"the input of orchestration '{name}'"),
        version=None if version is None else check_text(version, "a version", 100),
        parent_id=parent_instance_id,
    )
    given = [_given(event, began) for event in events]
    with Awaiting() as awaiting:
        surroundings = Surroundings(
            registry=registry,
            stubs=stubs,
            entities=EntityStubs(registry, entities, entity_states, awaiting),
            awaiting=awaiting,
            max_turns=max_turns,
            check_replay=check_replay,
        )
        return Trial(surroundings, instance, given).run(generations=generations, may_wait=may_wait)


def _add_activities(registry: Registry, activities: Functions | None) -> None:
    for name, known, answer in named(activities, "activity"):
        if known is not None and name not in registry.activities:
            registry.activities.add(name, plain(known))  # for its types
        registry.activities.replace(name, stand_in(answer))


def _given(event: Given, began: datetime) -> GivenEvent:
    name, *rest = (event,) if isinstance(event, str) else event
    if not isinstance(name, str) or len(rest) > 2:  # noqa: PLR2004 - data and time
        raise TypeError(f'an event is "name", ("name", data) or ("name", data, when), not {event!r}')
    data = rest[0] if rest else None
    when = rest[1] if len(rest) > 1 else None
    text = None if data is None else to_json(data, f"the data of event '{name}'")
    at = began + when if isinstance(when, timedelta) else when
    if at is not None and at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return GivenEvent(name=check_text(name, "an external event's name"), data=text, at=at)
