"""What the sessions of one worker share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from perdure.engine.activities import ActivityRunner
from perdure.engine.clock import Clock, NewId
from perdure.engine.crowd import Crowd
from perdure.engine.dispatch import Dispatch
from perdure.engine.entities.performer import EntityPerformer
from perdure.engine.executor import Executor
from perdure.engine.mail import Mail
from perdure.engine.notices import Notices
from perdure.engine.payloads import PayloadDesk
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.starting import Starting
from perdure.engine.sweeping import Sweeping
from perdure.storage.protocol import Storage


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that sessions work with."""

    storage: Storage
    settings: EngineSettings
    clock: Clock
    new_id: NewId
    mail: Mail
    payloads: PayloadDesk
    starting: Starting
    dispatch: Dispatch
    executor: Executor
    runner: ActivityRunner
    turn_slots: asyncio.Semaphore
    """Bounds the turns that are run and committed at once."""
    registry: Registry
    performer: EntityPerformer
    sweeping: Sweeping
    proven: set[str]
    """Orchestrators that have had a turn here without ending the process."""
    entity_slots: asyncio.Semaphore
    """Bounds the entities that perform operations at once."""
    notices: Notices
    crowd: Crowd
