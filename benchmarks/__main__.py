"""The benchmark: `make bench`, or `python -m benchmarks --help`."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from benchmarks.chart import draw
from benchmarks.measure import Order
from benchmarks.measuring import load
from benchmarks.peers import PEERS
from benchmarks.peers.running import PeerFailed, PeerMissing, measure_peer
from benchmarks.records import Record, Run, differences, median_of, read_run, this_machine, write_run
from benchmarks.report import show, show_differences, write_page
from benchmarks.stores import ROOT, STORES, Place, new_place
from benchmarks.workloads import WORKLOADS

_PAGE = ROOT / "docs" / "performance.md"
_CHART = ROOT / "docs" / "performance.svg"
_LATEST = ROOT / "benchmarks" / "results" / "latest.json"
_LONGEST = 1_800
_QUIET = 1.5


class MeasurementFailed(Exception):
    """A measuring process has ended with an error."""


def main() -> None:
    """Measure what the command line asks for."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 200)
    before = None if options.compare is None else read_run(options.compare)
    run = _measured(options, console)
    write_run(run, options.out)
    show(run, console)
    if before is not None:
        show_differences(differences(before, run), console)
    if options.page:
        write_page(run, _PAGE)
        draw(run, _CHART)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--workloads", type=_names(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--stores", type=_names(STORES), default=list(STORES))
    parser.add_argument("--peers", type=_names(PEERS), default=list(PEERS), help="empty for none")
    parser.add_argument("--small", action="store_true", help="small sizes: whether it works, not how fast")
    parser.add_argument("--compare", type=_file, help="the JSON of an earlier run")
    parser.add_argument("--out", type=Path, default=_LATEST, help="where the JSON goes")
    parser.add_argument("--page", action="store_true", help="put table and chart into docs/performance.md")
    options = parser.parse_args()
    if options.page and options.small:
        parser.error("--page: small sizes say nothing of speed, so the page gets none of them")
    return options


def _names(allowed: Any) -> Any:
    def parse(text: str) -> list[str]:
        names = [name for name in text.split(",") if name]
        if unknown := set(names) - set(allowed):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(allowed)}")
        return names

    return parse


def _file(text: str) -> Path | None:
    if text and not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"{text} is no file")
    return Path(text) if text else None


def _measured(options: argparse.Namespace, console: Console) -> Run:
    if load() > _QUIET:
        console.print(f"The load is {load()}: other work spoils timings; requests are right all the same.")
    run = Run(
        day=datetime.now(UTC).date().isoformat(),
        revision=_revision(),
        machine=this_machine(),
        full=not options.small,
        records=[],
    )
    for workload in options.workloads:
        for store in options.stores:
            console.print(f"{workload} on {store} ...")
            run.records += _with_floor(workload, store, small=options.small)
        _add_peers(run, workload, options, console)
    return run


def _with_floor(workload: str, store: str, *, small: bool) -> Iterator[Record]:
    definition = WORKLOADS[workload]
    sizes = definition.small if small else definition.sizes
    runs, floors = [], []
    # in turn with its floor: what else the machine does slows both
    for _ in range(1 if small else definition.pairs):
        runs.append(_in_process(workload, store, sizes, None))
        if definition.floor or definition.hosted_floor:
            floors.append(_in_process(workload, store, sizes, runs[0].shape))
    yield median_of(runs, definition.key)
    if floors:
        yield median_of(floors, definition.key)


def _in_process(workload: str, store: str, sizes: dict[str, int], floor: dict[str, float] | None) -> Record:
    with new_place(store) as place:
        order = _order(place, workload, sizes, floor)
        busy = load()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.measure"],
            input=msgspec.json.encode(order),
            stdout=subprocess.PIPE,
            cwd=ROOT,
            timeout=_LONGEST,
            check=False,
        )
    if done.returncode:
        raise MeasurementFailed(f"{workload} on {store} has failed; its process said why above")
    system = "perdure" if floor is None else "floor"
    found = msgspec.json.decode(done.stdout.splitlines()[-1])
    return msgspec.convert(
        {**found, "system": system, "store": store, "workload": workload, "sizes": sizes, "load": busy}, Record
    )


def _order(place: Place, workload: str, sizes: dict[str, int], floor: dict[str, float] | None) -> Order:
    return {
        "workload": workload,
        "floor": floor is not None,
        "store": place.name,
        "connection": place.connection,
        "pids": list(place.pids),
        "sizes": sizes,
        "shape": floor or {},
    }


def _add_peers(run: Run, workload: str, options: argparse.Namespace, console: Console) -> None:
    definition = WORKLOADS[workload]
    sizes = definition.small if options.small else definition.sizes
    for name in options.peers:
        if workload not in PEERS[name].workloads or name in run.skipped:
            continue
        console.print(f"{workload} on {name} ...")
        try:
            run.records.append(measure_peer(name, workload, sizes))
        except PeerMissing as missing:
            run.skipped[name] = str(missing)
            console.print(f"{name} is not measured: {missing}", markup=False)
        except PeerFailed as failed:
            run.skipped[f"{workload} on {name}"] = str(failed)
            console.print(f"{workload} on {name} is not measured: {failed}", markup=False)


def _revision() -> str:
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - where git is, PATH says
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return git.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
