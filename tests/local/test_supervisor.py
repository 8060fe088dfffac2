"""The supervisor's decisions, with host processes that end as a script says."""

import os
import signal
import time
from contextlib import nullcontext

import pytest

from perdure.local import supervisor
from perdure.local.exit_codes import FAILED, SECOND_INTERRUPT, START_FAILED
from perdure.local.interrupts import Interrupts
from perdure.local.options import HostOptions
from perdure.local.supervisor import Changed, Exited, StopAsked, Supervisor


class Stage:
    """Plays the host processes: each act is what one of them does when it starts."""

    def __init__(self, *acts):
        self.acts = list(acts)
        self.started = []
        self.killed = 0
        self.events = None

    def child(self, options, bound, events, *, after_change):
        self.events = events
        child = FakeChild(self, after_change)
        self.started.append((time.monotonic(), after_change))
        if self.acts:
            self.acts.pop(0)(child)
        return child


class FakeChild:
    def __init__(self, stage, after_change):
        self.stage = stage
        self.after_change = after_change
        self.exit_code = None
        self.age = 0.0
        self.stubborn = False

    def exit(self, code):
        self.exit_code = code
        self.stage.events.put(Exited(self))

    def ask_to_stop(self):
        if not self.stubborn:
            self.exit(0)

    def kill(self):
        self.stage.killed += 1
        if self.exit_code is None:
            self.exit(-signal.SIGKILL)


def dies(code):
    return lambda child: child.exit(code)


def meets(*events):
    def act(child):
        for event in events:
            child.stage.events.put(event)

    return act


def is_stubborn(*events):
    def act(child):
        child.stubborn = True
        meets(*events)(child)

    return act


STOP = StopAsked(insists=False)
CHANGE = Changed(["function_app.py"])


@pytest.fixture
def supervise(monkeypatch, tmp_path):
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(supervisor, "watching", lambda *_args: nullcontext())
    monkeypatch.setattr(supervisor, "_FIRST_DELAY", 0.01)
    monkeypatch.setattr(supervisor, "_LAST_DELAY", 0.04)
    monkeypatch.setattr(supervisor, "_KILL_AFTER", 0.05)

    def run(*acts):
        stage = Stage(*acts)
        monkeypatch.setattr(supervisor, "Child", stage.child)
        return Supervisor(HostOptions(app_dir=tmp_path, drain_timeout=0), None).run(), stage

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_stopping_stops_the_process(supervise):
    code, stage = supervise(meets(STOP))
    assert (code, len(stage.started), stage.killed) == (0, 1, 0)


def test_a_start_that_fails_at_first_ends_it_all(supervise):
    code, stage = supervise(dies(START_FAILED))
    assert (code, len(stage.started)) == (FAILED, 1)


def test_crashes_are_answered_with_growing_delays(supervise, capsys):
    code, stage = supervise(dies(-9), dies(1), dies(-11), dies(1), meets(STOP))
    assert code == 0
    assert [after_change for _, after_change in stage.started] == [False] * 5
    pauses = [later - earlier for (earlier, _), (later, _) in zip(stage.started, stage.started[1:], strict=False)]
    assert all(pause >= least for pause, least in zip(pauses, (0.01, 0.02, 0.04, 0.04), strict=True))
    said = capsys.readouterr().err
    assert "The host process ended (killed by SIGKILL). Starting it again in 0.01 s." in said
    assert "The host process ended (exit code 1). Starting it again in 0.02 s." in said
    assert "killed by SIGSEGV" in said


def test_a_crash_after_a_long_life_counts_as_the_first(supervise, capsys):
    def grows_old(child):
        child.age = 100.0
        child.exit(-9)

    supervise(dies(-9), dies(-9), grows_old, meets(STOP))
    assert capsys.readouterr().err.count("again in 0.01 s.") == 2


def test_a_start_that_fails_after_a_crash_is_tried_again(supervise):
    code, stage = supervise(dies(-9), dies(START_FAILED), meets(STOP))
    assert (code, len(stage.started)) == (0, 3)


def test_a_change_restarts_and_shows_more_of_errors(supervise, capsys):
    many = Changed(["a.py", "b.py", "c.py", "d.py", "e.py"])
    code, stage = supervise(meets(many), meets(STOP))
    assert code == 0
    assert [after_change for _, after_change in stage.started] == [False, True]
    assert "Changed: a.py, b.py, c.py and 2 more. Restarting the functions." in capsys.readouterr().out


def test_a_broken_change_waits_for_the_next_one(supervise, capsys):
    def breaks(child):
        child.exit(START_FAILED)
        child.stage.events.put(CHANGE)

    code, stage = supervise(meets(CHANGE), breaks, meets(STOP))
    assert (code, len(stage.started)) == (0, 3)
    assert "Waiting for the next change." in capsys.readouterr().out


def test_stopping_while_nothing_runs(supervise):
    def breaks(child):
        child.exit(START_FAILED)
        child.stage.events.put(STOP)

    code, stage = supervise(meets(CHANGE), breaks)
    assert (code, len(stage.started)) == (0, 2)


def test_a_process_that_does_not_stop_is_killed(supervise, capsys):
    code, stage = supervise(is_stubborn(STOP))
    assert (code, stage.killed) == (0, 1)
    assert "does not stop: killing it" in capsys.readouterr().err


def test_a_process_that_does_not_stop_for_a_change_is_killed_and_replaced(supervise):
    code, stage = supervise(is_stubborn(CHANGE, CHANGE), meets(STOP))
    assert (code, len(stage.started), stage.killed) == (0, 2, 1)


def test_a_second_interrupt_kills_at_once(supervise):
    code, stage = supervise(is_stubborn(STOP, StopAsked(insists=True)))
    assert (code, stage.killed) == (SECOND_INTERRUPT, 1)


def test_changes_do_not_matter_any_more_while_stopping(supervise):
    code, stage = supervise(is_stubborn(STOP, CHANGE))
    assert (code, len(stage.started)) == (0, 1)


def test_signals_ask_to_stop(supervise):
    code, stage = supervise(lambda _child: os.kill(os.getpid(), signal.SIGTERM))
    assert (code, len(stage.started)) == (0, 1)


def test_a_signal_delivered_twice_is_one_press():
    times = iter([10.0, 10.2, 10.4])
    interrupts = Interrupts(lambda: next(times))
    assert [interrupts.insists() for _ in range(3)] == [False, False, True]
