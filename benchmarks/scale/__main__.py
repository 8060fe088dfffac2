"""`make scale`, or `python -m benchmarks.scale --help`: the figures of docs/scale.md. A seed has the same each time."""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.scale import arithmetic
from benchmarks.scale.arithmetic import DURABLE_TASK, Cost
from benchmarks.scale.fleet import FleetOptions
from benchmarks.scale.scenarios import Outcome, alone, arrivals, backlog, fan_out, idle, signals
from benchmarks.scale.tables import Table, number
from perdure.testing.virtual_time import run_virtual

_PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
_BACKLOG = ("workers", "batchSize", "drained in", "share: least", "median", "most", "lost races", "requests each")
_SATURATION = ("control queues", "started /s", "p50", "p99", "busiest queue", "refused", "lost races")
_INTERVALS = ("maxPollingInterval", "p50", "p99", "polls in vain /s", "refused /s", "when idle /s")
_HOT = ("workers", "what", "done in", "commits", "lost races", "requests each", "polls in vain")
_LONG = 5.0
_SECONDS = 5.0

Run = Callable[[FleetOptions], Coroutine[Any, Any, Outcome]]


class Report:
    """Makes the tables, one after another.

    Args:
        seed: of every run.
        part: what is left of the full sizes; 1 for all of them.
    """

    def __init__(self, seed: int, part: float) -> None:
        self._seed = seed
        self._part = part

    def tables(self) -> Iterator[Table]:
        """Yield each as soon as it is known."""
        costs = list(self._costs())
        yield Table("costs", arithmetic.HEADERS, list(arithmetic.cost_rows([*costs, *DURABLE_TASK])))
        yield Table("queues", arithmetic.QUEUE_HEADERS, list(arithmetic.queue_rows(costs)))
        yield Table("polling", arithmetic.POLLING_HEADERS, list(arithmetic.polling_rows()))
        yield Table("backlog", _BACKLOG, list(self._backlogs()))
        yield Table("saturation", _SATURATION, list(self._saturation()))
        yield Table("intervals", _INTERVALS, list(self._intervals()))
        yield Table("hot", _HOT, list(self._hot()))

    def _costs(self) -> Iterator[Cost]:
        for workload, orchestrator, steps, seconds in (
            ("chain of 3", "chain", 3, 0.05),
            ("chain of 100", "chain", 100, 0.05),
            ("fan-out of 100, long", "fan", 100, _LONG),
            ("fan-out of 500, short", "fan", 500, 0.0),
        ):
            options = FleetOptions(workers=1, seed=self._seed, activity_seconds=seconds)
            found = run_virtual(alone(options, orchestrator, steps))
            yield Cost(
                engine="Perdure",
                workload=workload,
                steps=steps,
                table=found.table_requests,
                queue=found.queue_requests,
                busiest_queue=found.most_of_a_queue,
            )

    def _backlogs(self) -> Iterator[list[str]]:
        count = self._scaled(10_000)
        for workers, batch in ((1_000, 16), (1_000, 4), (100, 16)):
            options = self._fleet(workers, batch_size=batch)
            found = run_virtual(backlog(options, count))
            yield [
                number(options.workers),
                str(batch),
                f"{found.seconds:.1f} s",
                str(found.share[0]),
                number(statistics.median(found.share)),
                str(found.share[-1]),
                number(found.lost_races),
                number((found.table_requests + found.queue_requests) / count),
            ]

    def _saturation(self) -> Iterator[list[str]]:
        for queues, rate in ((1, 400), (1, 800), (1, 1_000), (2, 1_000), (2, 1_600), (4, 1_600), (4, 2_000)):
            options = self._fleet(100, control_queues=queues)
            found = run_virtual(arrivals(options, self._scaled(rate), _SECONDS))
            yield [
                str(queues),
                number(self._scaled(rate)),
                *_latencies(found),
                f"{number(found.busiest_queue)} /s",
                number(found.throttled),
                number(found.lost_races),
            ]

    def _intervals(self) -> Iterator[list[str]]:
        for interval in (1.0, 10.0, 60.0):
            options = self._fleet(1_000, longest_poll=interval)
            busy = run_virtual(arrivals(options, self._scaled(200), _SECONDS))
            nothing = run_virtual(idle(options))
            yield [
                f"{interval:g} s",
                *_latencies(busy),
                number(busy.empty_receives / busy.seconds),
                number(busy.throttled / busy.seconds),
                number(nothing.empty_receives / nothing.seconds),
            ]

    def _hot(self) -> Iterator[list[str]]:
        runs: list[tuple[int, str, int, Run, float]] = []
        for workers in (10, 100, 1_000):
            size = self._scaled(1_000)
            what = f"fan-out of {size:,}"
            runs.append((workers, f"{what}, 50 ms each", size, partial(fan_out, activities=size), 0.05))
            runs.append((workers, f"{what}, 5 s each", size, partial(fan_out, activities=size), _LONG))
        for workers in (10, 100, 1_000):
            size = self._scaled(5_000)
            runs.append((workers, f"{size:,} signals to an entity", size, partial(signals, count=size), 0.0))
        for workers, what, size, run, seconds in runs:
            options = self._fleet(workers, activity_seconds=seconds)
            found = run_virtual(run(options))
            yield [
                number(options.workers),
                what,
                f"{found.seconds:.1f} s",
                number(found.commits),
                number(found.lost_races),
                number((found.table_requests + found.queue_requests) / size),
                number(found.empty_receives),
            ]

    def _fleet(self, workers: int, **options: Any) -> FleetOptions:
        return FleetOptions(workers=self._scaled(workers), seed=self._seed, **options)

    def _scaled(self, size: int) -> int:
        return max(1, round(size * self._part))


def _latencies(found: Outcome) -> list[str]:
    return [f"{found.latency(0.5) * 1_000:,.0f} ms", f"{found.latency(0.99) * 1_000:,.0f} ms"]


def main() -> None:
    """Print the tables; put them into the page, too, if the command line asks for that."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", type=float, default=1.0, help="of the full sizes: 0.05 is done in seconds")
    parser.add_argument("--page", action="store_true", help="put the tables into docs/scale.md")
    options = parser.parse_args()
    if options.page and options.part != 1:
        parser.error("the page takes the full sizes")
    logging.disable(logging.WARNING)  # of messages that come again: their numbers are in the tables
    console = Console(width=200)
    for table in Report(options.seed, options.part).tables():
        table.show(console)
        if options.page:
            table.put_into(_PAGE)
    console.print(f"{time.process_time():.0f} s of processor time")


if __name__ == "__main__":
    main()
