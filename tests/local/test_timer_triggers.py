"""Timers under virtual time."""

import asyncio
from datetime import UTC, datetime, timedelta

import azure.functions as func
import pytest

from perdure.local.catalog import read_functions
from perdure.local.errors import HostError
from perdure.local.invocation import Invoker
from perdure.local.outputs import Outputs
from perdure.local.queue_connections import QueueConnections
from perdure.local.timer_triggers import Timer
from perdure.testing.virtual_time import run_virtual

START = datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)


def clock():
    return START + timedelta(seconds=asyncio.get_running_loop().time())


def timer_app(work, schedule="%SCHEDULE%", **kwargs):
    app = func.FunctionApp()

    async def tick(timer: func.TimerRequest):
        await work(timer)

    app.timer_trigger(arg_name="timer", schedule=schedule, **kwargs)(tick)
    return app


def new_timer(app, tmp_path, invoker, schedule):
    environ = {"SCHEDULE": schedule}
    [function] = read_functions(app, tmp_path, environ)
    outputs = Outputs(QueueConnections(environ, "base64"))
    return Timer(function, invoker, outputs, environ, tmp_path / "timers", clock=clock)


def fired(tmp_path, schedule, *, seconds, lasts=0.0, later=timedelta(0), fails=False, **kwargs):
    """Run a timer for some virtual seconds; return when it fired and whether it was past due."""
    runs = []

    async def work(timer):
        runs.append((round((clock() - START).total_seconds(), 1), timer.past_due))
        await asyncio.sleep(lasts)
        if fails:
            raise ValueError("no")

    async def main():
        await asyncio.sleep(later.total_seconds())
        invoker = Invoker()
        timer = new_timer(timer_app(work, **kwargs), tmp_path, invoker, schedule)
        task = asyncio.create_task(timer.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await invoker.wait_idle(1000)
        invoker.close()

    run_virtual(main())
    return runs


def test_it_fires_by_its_schedule(tmp_path):
    assert fired(tmp_path, "*/20 * * * * *", seconds=70) == [(19.5, False), (39.5, False), (59.5, False)]


def test_it_fires_by_its_interval(tmp_path):
    assert fired(tmp_path, "00:00:30", seconds=70) == [(30.0, False), (60.0, False)]


def test_it_waits_through_long_naps(tmp_path):
    assert fired(tmp_path, "0 0 6 * * *", seconds=86400) == [(6 * 3600 - 0.5, False)]


def test_it_never_runs_twice_at_once(tmp_path):
    assert fired(tmp_path, "*/10 * * * * *", seconds=60, lasts=25) == [(9.5, False), (39.5, False)]


def test_a_failure_does_not_end_it(tmp_path):
    assert len(fired(tmp_path, "*/10 * * * * *", seconds=60, fails=True)) == 6


def test_it_may_run_at_startup(tmp_path):
    assert fired(tmp_path, "0 0 6 * * *", seconds=10, run_on_startup=True) == [(0.0, False)]


def test_an_occurrence_missed_while_the_host_was_off_is_past_due(tmp_path):
    assert fired(tmp_path, "0 0 6 * * *", seconds=10) == []
    assert fired(tmp_path, "0 0 6 * * *", seconds=10, later=timedelta(hours=5)) == []
    assert fired(tmp_path, "0 0 6 * * *", seconds=10, later=timedelta(hours=7)) == [(7 * 3600, True)]
    assert fired(tmp_path, "0 0 6 * * *", seconds=10, later=timedelta(hours=8)) == []


@pytest.mark.parametrize(
    ("schedule", "kwargs"),
    [("0 30 * * * *", {}), ("*/20 * * * * *", {}), ("0 0 6 * * *", {"use_monitor": False})],
    ids=["other schedule", "too frequent", "unmonitored"],
)
def test_what_does_not_count_as_missed(tmp_path, schedule, kwargs):
    fired(tmp_path, schedule if kwargs or "/" in schedule else "0 0 6 * * *", seconds=1, **kwargs)
    assert fired(tmp_path, schedule, seconds=1, later=timedelta(days=2), **kwargs) == []


def test_a_broken_record_is_ignored_with_a_warning(tmp_path, caplog):
    (tmp_path / "timers").mkdir()
    (tmp_path / "timers" / "tick.json").write_text("[]", encoding="utf-8")
    assert fired(tmp_path, "0 0 6 * * *", seconds=1) == []
    assert "can't be read, ignoring it" in caplog.text


def test_stopping_leaves_a_run_alone(tmp_path):
    done = []

    async def work(_timer):
        await asyncio.sleep(50)
        done.append(clock())

    async def main():
        invoker = Invoker()
        timer = new_timer(timer_app(work), tmp_path, invoker, "*/10 * * * * *")
        task = asyncio.create_task(timer.run())
        await asyncio.sleep(15)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        running = invoker.running
        await invoker.wait_idle(100)
        invoker.close()
        return running

    assert run_virtual(main()) == 1
    assert len(done) == 1


def test_a_schedule_that_makes_no_sense_is_told_at_the_start(tmp_path):
    with pytest.raises(HostError, match="The schedule of function tick can't be read: 'soon' is neither"):
        fired(tmp_path, "soon", seconds=1)
