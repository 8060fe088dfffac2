"""The simulation must find an engine that breaks a rule of the protocol: otherwise its silence says nothing."""

from __future__ import annotations

import inspect
import sys
import textwrap

import pytest

from perdure.core.state import State
from perdure.engine import session as sessions
from perdure.engine.garbage import garbage_of
from perdure.engine.hand import Hand
from perdure.engine.session import Session
from perdure.engine.work import WorkDesk
from tests.simulation.anchors import AnchorPlay
from tests.simulation.playing import Play

SEEDS = 100
TRAP_SEEDS = 300
BROKEN_LIMIT = 1_000.0
"""An engine that is not broken needs 462 seconds at most in the first 300 seeds."""


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


def run_what_is_done(monkeypatch):
    async def nothing(self, item):
        return set()

    monkeypatch.setattr(WorkDesk, "_finished", nothing)


def clean_up_before_committing(monkeypatch):
    write = Session._write

    async def early(self, change):
        await self._settling.clean(garbage_of(self._journal, change))
        return await write(self, change)

    monkeypatch.setattr(Session, "_write", early)


# ---- the traps between the rules (DESIGN.md, section 4) --------------------------------------------------------------


def take_over_without_a_record(monkeypatch):
    """Trap a."""

    async def unrecorded(self, known):
        if not known:
            return
        state = self._journal.state
        self._in_hand.held += known
        turns = {id(each): each for inbound in known for each in state.unsettled_turns(inbound.message.id)}
        await self._send(list(turns.values()), again=True)
        if self._in_hand.held:
            await self._run_or_fail_in_place(poisoned=False)

    monkeypatch.setattr(Session, "_take_over", unrecorded)


def commit_without_a_message(monkeypatch):
    """Trap b."""
    source = textwrap.dedent(inspect.getsource(Session._step))
    broken = source.replace("if not (news or self._in_hand.held) and intake.events:", "if False:")
    assert broken != source
    scope = dict(vars(sessions))
    exec(broken, scope)  # noqa: S102 - the engine's own code, but for one line
    monkeypatch.setattr(Session, "_step", scope["_step"])


def look_at_the_last_commit_only(monkeypatch):
    """Trap c."""
    monkeypatch.setattr(
        State, "turns_of_commit", lambda self, commit: [t for t in self.turns[-1:] if t.commit == commit]
    )


def drop_the_newer_receipt(monkeypatch):
    """Trap e."""

    def receive(self, inbound):
        for mine in self._all:
            if mine.delivery.message_id == inbound.delivery.message_id and not mine.delivery.is_settled:
                inbound.delivery.acknowledge()
                return False
        self.waiting.append(inbound)
        return True

    monkeypatch.setattr(Hand, "receive", receive)


RULES = [
    acknowledge_before_sending,
    send_before_committing,
    drop_on_stale_state,
    send_nothing_again,
    carry_nothing_over,
    look_at_the_last_commit_only,
    run_what_is_done,
    clean_up_before_committing,
]
TRAPS = [take_over_without_a_record, commit_without_a_message, drop_the_newer_receipt]


@pytest.mark.parametrize("broken", RULES)
def test_a_broken_rule_is_found(broken, monkeypatch, capsys):
    broken(monkeypatch)
    assert first_failure(broken, Play, SEEDS, capsys) is not None


@pytest.mark.parametrize("broken", TRAPS)
def test_a_trap_is_found(broken, monkeypatch, capsys):
    broken(monkeypatch)
    assert first_failure(broken, AnchorPlay, TRAP_SEEDS, capsys) is not None


@pytest.mark.parametrize("seed", range(40))
def test_chains_alone(seed):
    assert AnchorPlay(seed).run() == []


def first_failure(broken, play, seeds, capsys):
    """Return the first seed that finds the fault, and print it."""
    seed = next((seed for seed in range(seeds) if run_fails(play, seed)), None)
    with capsys.disabled():
        sys.stdout.write(f"\n{broken.__name__}: found by seed {seed}\n")
    return seed


def run_fails(play, seed: int) -> bool:
    playing = play(seed)
    playing.limit = BROKEN_LIMIT
    try:
        return bool(playing.run())
    except Exception:  # noqa: BLE001 - an engine that breaks down is found, too
        return True
