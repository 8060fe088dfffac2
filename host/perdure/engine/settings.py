"""What can be tuned in the engine, with the defaults."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta

from perdure.core.versions import VersionFailure, VersionMatch

_CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Settings of one worker. Times in seconds."""

    max_concurrent_activities: int = 10 * _CORES
    """Activities running at once in this worker."""
    max_concurrent_orchestrators: int = 10 * _CORES
    """Orchestration turns being run and committed at once in this worker."""
    max_concurrent_entities: int = 10 * _CORES
    """Entities performing operations at once in this worker."""
    entity_batch: int = 500
    """Most operations of an entity that share a commit."""
    reorder_window: float = 900.0
    """How long what an orchestration or entity has sent to an entity waits for what it has sent before that. More than
    what a message stays hidden for when its worker dies: 10 minutes under Functions."""
    cached_sessions: int = 1_000
    """Idle instances kept in memory, suspended where they wait."""
    safety_net_delay: float = 30.0
    """When the start message of an instance that was started eagerly shows up, should its worker have died."""
    recovery_delay: float | None = None
    """When the work of a machine that was lost shows up again, if it takes long: a copy of its message, hidden for so
    long, lies under it. None leaves it to the message, which the Functions host hides for ten minutes.
    """
    anchor_budget: float = 60.0
    """How long one message may anchor a chain of activities in place; well under the Functions host's timeout."""
    many_in_hand: int = 8
    """When more messages of control queues than this are in hand, none is held for long: the host may take no more of
    them meanwhile (its `newBatchThreshold`).
    """
    short_timer: float = 3.0
    """Timers up to this long are waited for in place: queue delays are whole seconds on Azure."""
    stuck_after: float = 60.0
    """How long a function of the app runs before the log says that it has not come back; then after twice as long."""
    max_deliveries: int = 5
    """Deliveries after which a message is poisoned; the Functions host's maxDequeueCount."""
    fail_on_non_determinism: bool = False
    """Fail an orchestration whose code no longer fits its history, rather than block it until corrected code comes."""
    unknown_function_timeout: float = 300.0
    """How long, in seconds, what calls for a function that the app does not have waits for a deployment, or for another
    worker, that has it, before it fails; tried about every second at first, and every 30 at last."""
    blocked_delay: float = 5.0
    """How long what can't go on with the code that is deployed waits at first; twice as long each time, at most 300."""
    default_version: str | None = None
    """This worker's version: that of instances and children that are started without one."""
    version_match: VersionMatch = VersionMatch.CURRENT_OR_OLDER
    """Which instances this worker runs, by their version; of no effect without `default_version`."""
    version_failure: VersionFailure = VersionFailure.REJECT
    """What becomes of instances that it must not run."""
    tail_turns: int = 200
    """Turns in a row's tail before they are sealed; a table row takes 252 properties."""
    tail_bytes: int = 512 * 1024
    """Bytes in a row's tail before they are sealed; a table row takes 1 MiB."""
    turn_bytes: int = 60 * 1024
    """Largest turn written into a row; a table property takes 64 KiB."""


LONGEST_DELAY = timedelta(days=7)
"""Azure Queue Storage hides a message for at most this long."""
