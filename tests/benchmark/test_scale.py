"""Many workers on one hub, in virtual time: they share work, and get in each other's way no more than a little.

`make scale` is the same with a thousand.
"""

from __future__ import annotations

import statistics

import pytest
from benchmarks.scale.arithmetic import DURABLE_TASK, Cost, cost_rows, queue_rows
from benchmarks.scale.azure import QUEUE_PRICE, TABLE_PRICE
from benchmarks.scale.fleet import FleetOptions
from benchmarks.scale.scenarios import alone, arrivals, backlog, fan_out, idle, signals
from benchmarks.scale.tables import Table
from benchmarks.stores import ROOT

from perdure.testing.virtual_time import run_virtual

WORKERS = 50
SEEDS = [1, 2]


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_that_come_up_at_once_share_what_waits_and_race_for_nothing(seed):
    options = FleetOptions(workers=WORKERS, seed=seed, batch_size=4)
    found = run_virtual(backlog(options, 1_000))

    assert sum(found.share) == 1_000
    fair = 1_000 / WORKERS
    assert found.share[0] >= fair / 4
    assert statistics.median(found.share) >= fair / 2
    assert found.share[-1] <= 2.5 * fair
    assert found.lost_races == 0
    assert found.table_requests + found.queue_requests <= 7 * 1_000
    assert found.given_up == 0


def test_what_arrives_is_seen_soon_and_by_everybody():
    found = run_virtual(arrivals(FleetOptions(workers=WORKERS, control_queues=2), 100, 5))

    assert found.lost_races == 0
    assert found.latency(0.5) <= 0.5
    assert found.latency(0.99) <= 1.5, "a worker looks once a second at the latest"
    assert found.share[-1] <= 0.2 * sum(found.share)


@pytest.mark.parametrize("seconds", [0.05, 5.0])
def test_a_fan_out_over_many_workers_costs_bounded_races(seconds):
    activities = 200
    found = run_virtual(fan_out(FleetOptions(workers=WORKERS, activity_seconds=seconds), activities))

    assert found.lost_races <= activities, "no more than one a result"
    assert found.commits <= activities
    assert found.table_requests + found.queue_requests <= 9 * activities
    assert sum(found.share) == activities, "each ran once"


def test_a_hot_entity_takes_in_many_signals_a_commit():
    found = run_virtual(signals(FleetOptions(workers=WORKERS), 500))

    assert found.commits <= 500 / 4
    assert found.lost_races <= 500 / 2
    assert found.table_requests + found.queue_requests <= 3 * 500


def test_idle_workers_poll_as_rarely_as_they_are_told():
    found = run_virtual(idle(FleetOptions(workers=10, longest_poll=10.0)))

    polls_a_second = 10 * 2 / 10
    assert found.empty_receives / found.seconds == pytest.approx(polls_a_second, rel=0.25)
    assert found.table_requests == found.queue_requests == 0


def test_too_much_for_one_queue_is_refused_and_more_queues_take_it():
    one, four = (
        run_virtual(arrivals(FleetOptions(workers=30, control_queues=queues), 1_500, 1.0)) for queues in (1, 4)
    )

    assert one.throttled > 0
    assert four.throttled == 0
    assert four.latency(0.99) < one.latency(0.99)
    assert len(one.latencies) == sum(one.share), "what was refused has been tried again: nothing is lost"


def test_a_seed_has_the_same_figures_each_time():
    options = FleetOptions(workers=5, seed=7)

    assert run_virtual(signals(options, 50)) == run_virtual(signals(options, 50))


def test_an_orchestration_that_nobody_else_disturbs_costs_what_the_page_says():
    found = run_virtual(alone(FleetOptions(workers=1), "chain", 3))

    assert (found.table_requests, found.queue_requests) == (4, 2)


def test_a_cost_is_requests_times_prices():
    cost = Cost(engine="it", workload="a chain", steps=4, table=6, queue=2, busiest_queue=2)

    assert cost.a_second == 2_500
    assert cost.dollars(QUEUE_PRICE) == pytest.approx((6 * TABLE_PRICE + 2 * QUEUE_PRICE) / 4 * 1e6)
    assert list(queue_rows([cost])) == [["a chain", "2", "1,000", "3"]]
    assert [row[1] for row in cost_rows([cost, *DURABLE_TASK])][:2] == ["it", "DurableTask.AzureStorage"]


def test_a_table_takes_its_place_in_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- costs -->\nold\n<!-- end of costs -->\nafter\n")
    Table("costs", ("what", "dollars"), [["a step", "1"]]).put_into(page)

    assert page.read_text() == (
        "before\n<!-- costs -->\n\n| what | dollars |\n|---|---:|\n| a step | 1 |\n\n<!-- end of costs -->\nafter\n"
    )
    with pytest.raises(ValueError, match="no place for 'other'"):
        Table("other", ("what",), []).put_into(page)


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        ("| chain of 3 | Perdure |", 6, "about {} chains of three"),
        ("| chain of 100 | Perdure |", 7, "or {} steps of long"),
    ],
)
def test_what_the_page_says_in_short_is_in_its_tables(row, column, said):
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    [line] = [line for line in page.splitlines() if line.startswith(row)]
    figure = int(line.split("|")[column].replace(",", ""))
    rounded = int(float(f"{figure:.1e}"))
    assert said.format(f"{rounded:,}") in page
