"""Replaying recorded histories with today's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from perdure.core.actions import OrchestrationCompleted
from perdure.core.failure import qualified_name
from perdure.core.history import Turn
from perdure.core.outbox import execution_of
from perdure.core.replay import Orchestration
from perdure.engine.executor import orchestration_of
from perdure.engine.registry import Registry
from perdure.errors import NonDeterminismError, UnknownFunctionError, VersionMismatchError
from perdure.testing.errors import HistoryDiffers
from perdure.testing.functions import add_orchestrator, registry_of
from perdure.testing.recorded_history import RecordedHistory

_DECIDED_BY_THE_ENGINE = {
    qualified_name(error) for error in (NonDeterminismError, UnknownFunctionError, VersionMismatchError)
}


def assert_replays(history: RecordedHistory | str | Path, code: Any) -> None:
    """Check that an orchestrator, as it is written now, goes through a recorded history as it did then.

    What it will do after the last recorded turn is not checked: that is not history yet.

    Args:
        history: a recorded history, or the path of its file.
        code: the orchestrator, decorated or not; or an app or registry that has it.

    Raises:
        HistoryDiffers: it asks for something else than the history records; the cause is the NonDeterminismError.
        DataError: the file is no recorded history.
    """
    recorded = history if isinstance(history, RecordedHistory) else RecordedHistory.load(history)
    replayed(recorded, _registry(recorded, code))


def replayed(history: RecordedHistory, registry: Registry) -> Orchestration:
    """Return the orchestration, suspended where its history ends. Raises HistoryDiffers."""
    instance = history.instance
    about = f"instance '{instance.instance_id}' ('{instance.name}'"
    about += f", version {instance.version})" if instance.version else ")"
    try:
        orchestration = orchestration_of(
            registry,
            instance,
            execution_of(instance.execution_id, instance.generation),
            suspended=history.began_suspended,
        )
    except UnknownFunctionError as error:
        raise HistoryDiffers(f"{about} can't go on: {error}", str(error)) from error
    for number, turn in enumerate((turn for turn in history.turns if _has_run(turn)), start=1):
        try:
            orchestration.replay(turn, history.payloads)
        except NonDeterminismError as error:
            why = f"in turn {number} ({turn.at:%Y-%m-%d %H:%M:%S} UTC) {error.difference}"
            raise HistoryDiffers(
                f"{about} does not replay with this code: {why}. Keep the old way for instances that have gone it "
                f"(context.patched(), or another version), or let them end before this code is deployed.",
                why,
            ) from error
    return orchestration


def _registry(history: RecordedHistory, code: Any) -> Registry:
    if not callable(code):
        return registry_of(code)
    registry = Registry()
    add_orchestrator(registry, history.instance.name, code)
    return registry


def _has_run(turn: Turn) -> bool:
    """Whether the orchestrator had a part in a turn: a session takes messages over, or the engine ends an instance
    whose code can't go on, without it.
    """
    last = turn.actions[-1] if turn.actions else None
    failure = last.failure if isinstance(last, OrchestrationCompleted) else None
    return bool(turn.events) and (failure is None or failure.type not in _DECIDED_BY_THE_ENGINE)
