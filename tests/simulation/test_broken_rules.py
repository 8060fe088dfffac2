"""The simulation must find an engine that breaks a rule of the protocol: otherwise its silence says nothing."""

from __future__ import annotations

import pytest

from perdure.core.state import State
from perdure.engine.session import Session
from tests.simulation.playing import Play

SEEDS = 40


def acknowledge_before_sending(monkeypatch):
    send = Session._send

    async def early(self, turns, *, again):
        for inbound in (*self._in_hand.held, *self._in_hand.batch):
            inbound.delivery.acknowledge()
        await send(self, turns, again=again)

    monkeypatch.setattr(Session, "_send", early)


def send_before_committing(monkeypatch):
    write = Session._write

    async def early(self, change):
        if change.turn is not None and change.generation is None:
            state = State(generation=self._journal.state.generation, turns=[*self._journal.state.turns, change.turn])
            await self._services.dispatch.send(change.turn, state, self._journal.sender, again=False)
        return await write(self, change)

    monkeypatch.setattr(Session, "_write", early)


def drop_on_stale_state(monkeypatch):
    offer = Session.offer

    def early(self, inbound):
        inbound.arrived = 0  # as if every read came after it
        offer(self, inbound)

    monkeypatch.setattr(Session, "offer", early)


def send_nothing_again(monkeypatch):
    async def silent(self, known):
        self._in_hand.held += known

    monkeypatch.setattr(Session, "_take_over", silent)


def carry_nothing_over(monkeypatch):
    monkeypatch.setattr(State, "records", lambda *_: [])


@pytest.mark.parametrize(
    "broken",
    [
        acknowledge_before_sending,
        send_before_committing,
        drop_on_stale_state,
        send_nothing_again,
        carry_nothing_over,
    ],
)
def test_a_broken_rule_is_found(broken, monkeypatch):
    broken(monkeypatch)
    assert any(run_fails(seed) for seed in range(SEEDS))


def run_fails(seed: int) -> bool:
    try:
        return bool(Play(seed).run())
    except Exception:  # noqa: BLE001 - an engine that breaks down is found, too
        return True
