"""Testing durable code: an orchestrator alone, a whole app in memory, recorded histories against today's code.

Below that, what Perdure itself is tested with: virtual time, and simulations in which workers crash and messages
misbehave.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perdure.testing.app_harness import AppHarness
    from perdure.testing.entity_run import BegunOrchestration, EntityCall, EntityRun, OperationRun, Signal
    from perdure.testing.entity_running import run_entity
    from perdure.testing.errors import HistoryDiffers, StuckError
    from perdure.testing.faults import Faults
    from perdure.testing.orchestrator_run import Call, OrchestratorRun, SentEvent, Timer
    from perdure.testing.recorded_history import RecordedHistory, record_history
    from perdure.testing.replaying import assert_replays
    from perdure.testing.running import run_orchestrator
    from perdure.testing.simulation import Simulation
    from perdure.testing.stubs import outcomes
    from perdure.testing.virtual_time import VirtualClock, VirtualTimeLoop, run_virtual

_HOMES = {
    "AppHarness": "app_harness",
    "BegunOrchestration": "entity_run",
    "Call": "orchestrator_run",
    "EntityCall": "entity_run",
    "EntityRun": "entity_run",
    "Faults": "faults",
    "HistoryDiffers": "errors",
    "OperationRun": "entity_run",
    "OrchestratorRun": "orchestrator_run",
    "RecordedHistory": "recorded_history",
    "SentEvent": "orchestrator_run",
    "Signal": "entity_run",
    "Simulation": "simulation",
    "StuckError": "errors",
    "Timer": "orchestrator_run",
    "VirtualClock": "virtual_time",
    "VirtualTimeLoop": "virtual_time",
    "assert_replays": "replaying",
    "outcomes": "stubs",
    "record_history": "recorded_history",
    "run_entity": "entity_running",
    "run_orchestrator": "running",
    "run_virtual": "virtual_time",
}

__all__ = [
    "AppHarness",
    "BegunOrchestration",
    "Call",
    "EntityCall",
    "EntityRun",
    "Faults",
    "HistoryDiffers",
    "OperationRun",
    "OrchestratorRun",
    "RecordedHistory",
    "SentEvent",
    "Signal",
    "Simulation",
    "StuckError",
    "Timer",
    "VirtualClock",
    "VirtualTimeLoop",
    "assert_replays",
    "outcomes",
    "record_history",
    "run_entity",
    "run_orchestrator",
    "run_virtual",
]


def __getattr__(name: str) -> Any:
    """Import a name's module when the name is asked for."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"perdure.testing.{_HOMES[name]}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
