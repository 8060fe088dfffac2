"""The loop of a session, of an orchestration's or an entity's: step after step while there is something to do."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from perdure.engine.delivery import Inbound
from perdure.engine.hand import Hand
from perdure.engine.services import Services
from perdure.storage.protocol import StorageUnavailable

_log = logging.getLogger("perdure.sessions")


class SessionLoop(ABC):
    """Moves one instance on.

    Args:
        services: what the sessions of a worker share.
        instance_id: the instance.
        closed: called when the session can't go on and must be forgotten.
        slots: bounds the steps that are made at once.
    """

    def __init__(
        self, services: Services, instance_id: str, closed: Callable[[Any], None], slots: asyncio.Semaphore
    ) -> None:
        self.instance_id = instance_id
        self.nonce = services.new_id()
        self._services = services
        self._closed = closed
        self._slots = slots
        self._loaded = False
        self._wrote = False
        """Whether the step that is being made has committed something."""
        self._task: asyncio.Task[None] | None = None

    # ---- from outside ----------------------------------------------------------------------------------------------

    def offer(self, inbound: Inbound) -> None:
        """Hand over a message."""
        if self._hand.receive(inbound):
            self._wake()

    @property
    def idle(self) -> bool:
        """Whether nothing is lost when the session is forgotten."""
        return self._task is None and not (self._hand.waiting or self._hand.held or self._runs_something)

    def abandon(self, error: BaseException) -> None:
        """Give everything back: whoever receives the messages next goes on from what is durable."""
        self._stop_running()
        self._hand.give_back_all(error)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._closed(self)

    # ---- what the sessions fill in ---------------------------------------------------------------------------------

    @property
    @abstractmethod
    def _hand(self) -> Hand:
        """The messages."""

    @property
    @abstractmethod
    def _has_work(self) -> bool:
        """Whether there is a step to be made."""

    @abstractmethod
    async def _step(self) -> None:
        """Make one."""

    @property
    def _runs_something(self) -> bool:
        """Whether anything runs beside the loop."""
        return False

    @abstractmethod
    def _stop_running(self) -> None:
        """Stop that."""

    @abstractmethod
    def _undo_step(self) -> None:
        """A step has failed before it committed anything: put back what it has taken besides messages."""

    # ---- the loop --------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._has_work:
                async with self._slots:
                    await self._guarded_step()
        except Exception as error:  # noqa: BLE001 - whatever it is, the messages must come again
            _log.warning("instance '%s' will be tried again: %s", self.instance_id, error, exc_info=error)
            self.abandon(error)
        except asyncio.CancelledError as error:
            self.abandon(error)
            raise
        finally:
            self._task = None

    async def _guarded_step(self) -> None:
        """Make a step. If its messages can't be taken in, give back these alone: what runs in place and its anchor
        have no part in it. Once something is committed its sends are due, and only a new session may send them again.
        """
        self._wrote = False
        try:
            await self._step()
        except StorageUnavailable:
            raise
        except Exception as error:
            if self._wrote or not self._hand.batch:
                raise
            _log.warning("instance '%s': messages will come again: %s", self.instance_id, error, exc_info=error)
            self._hand.give_back_batch(error)
            self._undo_step()
            self._loaded = False
