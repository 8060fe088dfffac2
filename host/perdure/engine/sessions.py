"""The sessions of a worker: one an instance, idle ones cached, the least recently used forgotten."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice

from perdure.core.entity_id import is_entity_id
from perdure.engine.entities.session import EntitySession
from perdure.engine.services import Services
from perdure.engine.session import Session
from perdure.storage.rows import Instance


class Sessions:
    """Finds or makes the session of an instance."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sessions: OrderedDict[str, Session | EntitySession] = OrderedDict()
        self._perhaps_active: set[Session] = set()
        """Those that somebody has asked for since they were last found idle."""

    def of(self, instance_id: str) -> Session | EntitySession:
        """Return the instance's session in this worker."""
        session = self._sessions.get(instance_id)
        if session is None:
            self._shrink()
            made = EntitySession if is_entity_id(instance_id) else Session
            session = self._sessions[instance_id] = made(self._services, instance_id, self._forget)
        self._sessions.move_to_end(instance_id)
        if isinstance(session, Session):
            self._perhaps_active.add(session)
        return session

    def in_hand(self, instance_id: str) -> Instance | None:
        """Return an orchestration's columns if its session is at work; None if not, or if they are not known yet."""
        session = self._sessions.get(instance_id)
        return session.instance if isinstance(session, Session) and not session.idle else None

    @property
    def active(self) -> int:
        """How many orchestrations have something in hand."""
        # of a thousand that are cached few are at work, and each start asks
        self._perhaps_active = {session for session in self._perhaps_active if not session.idle}
        return len(self._perhaps_active)

    def abandon_all(self, error: BaseException) -> None:
        """Give everything back."""
        for session in list(self._sessions.values()):
            session.abandon(error)

    def _forget(self, session: Session | EntitySession) -> None:
        if self._sessions.get(session.instance_id) is session:
            self._drop(session.instance_id)

    def _shrink(self) -> None:
        surplus = len(self._sessions) + 1 - self._services.settings.cached_sessions
        if surplus <= 0:
            return
        idle = (instance_id for instance_id, session in self._sessions.items() if session.idle)
        for instance_id in list(islice(idle, surplus)):
            self._drop(instance_id)

    def _drop(self, instance_id: str) -> None:
        session = self._sessions.pop(instance_id)
        if isinstance(session, Session):
            self._perhaps_active.discard(session)
