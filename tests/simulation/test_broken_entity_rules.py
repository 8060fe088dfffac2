"""The simulation must find entities that break a rule of theirs: otherwise its silence says nothing."""

from __future__ import annotations

import pytest

from perdure.core.entities.admission import Admission
from perdure.engine import turns
from perdure.engine.dispatch import Dispatch
from perdure.engine.entities.session import EntitySession
from perdure.testing import Faults
from tests.simulation.entity_playing import Sections, Sums

SEEDS = 40
CRASHES = Faults(crash=0.03)


def forget_what_came(monkeypatch):
    monkeypatch.setattr(Admission, "_knows", lambda *_: False)


def take_in_as_it_comes(monkeypatch):
    keep = Admission._keep

    def at_once(self, early):
        keep(self, early)
        self._inflow(early.request).next = early.request.place.seq

    monkeypatch.setattr(Admission, "_keep", at_once)


def send_nothing_again(monkeypatch):
    async def silent(self):
        """Say nothing."""

    monkeypatch.setattr(EntitySession, "_send_again", silent)


def send_before_committing(monkeypatch):
    commit = EntitySession._commit

    async def early(self, made):
        await self._dispatch.send(made.sends, self.instance_id, None)
        return await commit(self, made)

    monkeypatch.setattr(EntitySession, "_commit", early)


def acknowledge_before_sending(monkeypatch):
    commit = EntitySession._commit

    async def early(self, made):
        for inbound in (*self._messages.batch, *self._messages.held):
            inbound.delivery.acknowledge()
        return await commit(self, made)

    monkeypatch.setattr(EntitySession, "_commit", early)


def release_nothing_at_the_end(monkeypatch):
    monkeypatch.setattr(turns, "with_releases", lambda actions, *_: list(actions))


def say_nothing_before_a_purge(monkeypatch):
    async def silent(self, state, sender):
        """Say nothing."""

    monkeypatch.setattr(Dispatch, "tell_entities", silent)


def let_go_of_what_could_go_on(monkeypatch):
    monkeypatch.setattr(EntitySession, "_release", lambda self: self._messages.release(keep=0))


@pytest.mark.parametrize(
    ("play", "broken"),
    [
        (Sums, forget_what_came),
        (Sums, take_in_as_it_comes),
        (Sums, send_nothing_again),
        (Sums, send_before_committing),
        (Sums, acknowledge_before_sending),
        (Sections, release_nothing_at_the_end),
        (Sections, say_nothing_before_a_purge),
        (Sections, let_go_of_what_could_go_on),
    ],
)
def test_a_broken_rule_is_found(play, broken, monkeypatch):
    broken(monkeypatch)
    assert any(run_fails(play, seed) for seed in range(SEEDS))


def run_fails(play, seed) -> bool:
    try:
        return bool(play(seed, CRASHES).run())
    except Exception:  # noqa: BLE001 - an engine that breaks down is found, too
        return True
