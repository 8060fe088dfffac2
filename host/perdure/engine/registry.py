"""The functions that an app has: orchestrators, activities and entities by name."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from perdure.core.entities.performing import EntityDefinition
from perdure.core.hints import Hints, activity_hints, orchestrator_hints
from perdure.core.replay import OrchestratorFunction
from perdure.errors import PerdureError, UnknownFunctionError
from perdure.streaming import StreamDesk, StreamOpening

_log = logging.getLogger("perdure.functions")

F = TypeVar("F")

BUILT_IN = "BuiltIn::"
"""How names of functions begin that every app has."""


@dataclass(frozen=True, slots=True)
class ActivityContext:
    """What an activity may know of the call that it serves."""

    instance_id: str
    execution: str
    no: int
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    """What the orchestrator gave the call."""
    first: int | None = None
    """Number of the first attempt at the same step, if this is another one."""
    desk: StreamDesk | None = field(default=None, repr=False, compare=False)
    """Opens streams; None where the activity is not run by a worker."""

    @property
    def idempotency_key(self) -> str:
        """The same for every run of this step, its retries and rewinds included, and for no other: hand it to services
        that can drop repeats.
        """
        return f"{self.instance_id}/{self.execution}/{self.no if self.first is None else self.first}"

    def stream(self, name: str, *, instance_id: str | None = None, part: str | None = None) -> StreamOpening:
        """Open a durable stream to write to, as the step that this activity is: `async with ... as stream` gives a
        `StreamWriter`, `with ... as stream`, in activities that are not async, a `SyncStreamWriter`.

        Should the activity be run again, its items of before are void, and readers are told; but once the block has
        ended well, or `complete` was called, the step is finished, and `stream.finished` says so to later runs.

        Args:
            name: the stream's: 1 to 64 letters, digits and '-'. Steps that name the same one go on with it.
            instance_id: the orchestration or entity that it belongs to, and with which it is deleted; by default the
                one that has called this activity.
            part: tells the blocks of one activity from each other, if it opens a stream more than once.

        Raises:
            InstanceNotFoundError: (when entered) there is no such orchestration.
            LookupError: the activity is not run by a worker.
            StreamUnavailable: (when entered) the store has been away for more than a minute.
            ValueError: the name or id can't be one.
        """
        if self.desk is None:
            raise LookupError("an activity has streams only when a worker runs it: test it with an AppHarness")
        step = self.idempotency_key if part is None else f"{self.idempotency_key}/{part}"
        if instance_id is None or instance_id == self.instance_id:
            own = self.execution.rpartition(".")[0]
            return self.desk.opening(self.instance_id, name, step, execution_id=own)
        return self.desk.opening(instance_id, name, step)


ActivityFunction = Callable[[Any], Any] | Callable[[Any], Awaitable[Any]]
"""Takes the input, returns the result; `async def` or not."""

current_activity: ContextVar[ActivityContext] = ContextVar("perdure_activity")


def activity_context() -> ActivityContext:
    """Return the context of the activity that is running. Raises LookupError outside of one."""
    try:
        return current_activity.get()
    except LookupError:
        raise LookupError("activity_context() answers only inside a running activity") from None


class DuplicateFunctionError(PerdureError):
    """Two functions of one kind have the same name."""


class _Named(Generic[F]):
    def __init__(self, kind: str, hints: Callable[[F, Any], Hints]) -> None:
        self._kind = kind
        self._read_hints = hints
        self._functions: dict[str, F] = {}
        self._hints: dict[str, Hints] = {}
        self._folded: dict[str, str] = {}

    def add(self, name: str, function: F, input_type: Any = None) -> None:
        """Register a function; hints of its that can't be used are named in a warning.

        Args:
            name: what it is called by.
            function: the function.
            input_type: what its input is to be read as, if its own hints don't say.

        Raises:
            DuplicateFunctionError: the name, whatever its case, is taken.
        """
        taken = self._folded.setdefault(name.casefold(), name)
        if name in self._functions or taken != name:
            raise DuplicateFunctionError(
                f"two {self._kind} functions are named '{name}'" + (f" and '{taken}'" if taken != name else "")
            )
        self._functions[name] = function
        hints = self._hints[name] = self._read_hints(function, input_type)
        for problem in hints.problems:
            _log.warning("%s '%s': %s. It receives plain JSON there.", self._kind, name, problem)

    def replace(self, name: str, function: F) -> None:
        """Have another function answer to a name, with the types of the one before it; a new name is added."""
        known = name if name in self._functions else self._folded.get(name.casefold())
        if known is None:
            self.add(name, function)
        else:
            self._functions[known] = function

    def get(self, name: str) -> F:
        """Return the function of this name (case is ignored). Raises UnknownFunctionError."""
        function = self._functions.get(name) or self._functions.get(self._folded.get(name.casefold(), ""))
        if function is None:
            own = sorted(each for each in self._functions if not each.startswith(BUILT_IN))
            known = ", ".join(f"'{each}'" for each in own) or "none"
            raise UnknownFunctionError(f"no {self._kind} function is named '{name}'; this app has: {known}")
        return function

    def written(self, name: str) -> str:
        """Return the name as it was registered; as it is given, if there is no such function."""
        return self._folded.get(name.casefold(), name)

    def hints(self, name: str) -> Hints:
        """Return the types that the function of this name declares; none if there is no such function."""
        return self._hints.get(name) or self._hints.get(self._folded.get(name.casefold(), "")) or Hints()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.casefold() in self._folded

    @property
    def all(self) -> Mapping[str, F]:
        """The functions by name."""
        return self._functions


class Registry:
    """The functions of an app."""

    def __init__(self) -> None:
        self.orchestrators: _Named[OrchestratorFunction] = _Named("orchestrator", orchestrator_hints)
        self.activities: _Named[ActivityFunction] = _Named("activity", lambda function, _: activity_hints(function))

        self.entities: _Named[EntityDefinition] = _Named("entity", lambda definition, _: definition.hints(""))

    def copy(self) -> Registry:
        """Return a registry of its own with the same functions, what is built in left out."""
        other = Registry()
        for name, function in self.orchestrators.all.items():
            other.orchestrators.add(name, function, self.orchestrators.hints(name).input)
        for name, entity in self.entities.all.items():
            other.entities.add(name, entity)
        for name, activity in self.activities.all.items():
            if not name.startswith(BUILT_IN):
                other.activities.add(name, activity)
        return other

    def activity(self, name: str) -> Hints:
        """Return the types that an activity declares."""
        return self.activities.hints(name)

    def orchestrator(self, name: str) -> Hints:
        """Return the types that an orchestrator declares."""
        return self.orchestrators.hints(name)

    def entity_operation(self, name: str, operation: str) -> Hints:
        """Return the types that an operation of an entity declares."""
        return self.entities.get(name).hints(operation) if name in self.entities else Hints()
