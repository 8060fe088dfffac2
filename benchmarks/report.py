"""A run as tables: on the terminal, and as Markdown for docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.floors import TELLS
from benchmarks.goals import verdicts
from benchmarks.records import Difference, Machine, Record, Run
from benchmarks.workloads import WORKLOADS

_BEGINS, _ENDS = "<!-- figures of a run -->", "<!-- end of figures -->"
_NOTABLE = 0.1
_HEADERS = ("system", "state in", "figures", "wall", "CPU", "CPU of the store", "peak memory", "storage requests")


def show(run: Run, console: Console) -> None:
    """Print a run."""
    for workload in _in_order(run):
        table = Table(*_HEADERS, title=f"{workload}: {WORKLOADS[workload].tells}", title_justify="left")
        for record in run.records:
            if record.workload == workload:
                table.add_row(*_cells(record))
        console.print(table)
    for what, why in run.skipped.items():
        console.print(f"not measured: {what}: {why}", markup=False)
    if not run.full:
        console.print("Small sizes: they show that everything works, and say nothing of speed.")
        return
    goals = Table("goal", "bound", "measured", "", title="goals", title_justify="left")
    for row in _goal_rows(run):
        goals.add_row(*row)
    console.print(goals)


def show_differences(found: Sequence[Difference], console: Console) -> None:
    """Print what has changed since another run; changes by more than a tenth are marked."""
    table = Table("system", "store", "workload", "figure", "before", "now", "now / before", title="compared")
    for each in found:
        ratio = each.now / each.before if each.before else float("inf") if each.now else 1.0
        mark = " *" if abs(ratio - 1) > _NOTABLE else ""
        table.add_row(
            each.system,
            each.store,
            each.workload,
            each.figure,
            f"{each.before:g}",
            f"{each.now:g}",
            f"{ratio:.2f}{mark}",
        )
    console.print(table)


def write_page(run: Run, page: Path) -> None:
    """Put a run's figures into a page, in place of those between its two marks.

    Raises ValueError if it has none, or if the run had small sizes.
    """
    if not run.full:
        raise ValueError("a run with small sizes says nothing of speed: the page gets none of it")
    text = page.read_text(encoding="utf-8")
    before, begins, rest = text.partition(_BEGINS)
    _, ends, after = rest.partition(_ENDS)
    if not (begins and ends):
        raise ValueError(f"{page.name} has no place for figures: {_BEGINS} ... {_ENDS}")
    page.write_text(f"{before}{begins}\n\n{_markdown(run)}\n{ends}{after}", encoding="utf-8")


def _markdown(run: Run) -> str:
    lines = [f"Measured on {run.day} (revision {run.revision}) on {described(run.machine)}.", ""]
    for workload in _in_order(run):
        lines += [f"### {workload}", "", f"{_sentence(WORKLOADS[workload].tells)} {_sizes(run, workload)}"]
        if workload in TELLS:
            lines += [f"The floor: {TELLS[workload]}."]
        rows = (_cells(record) for record in run.records if record.workload == workload)
        lines += ["", *_table(_HEADERS, rows), ""]
    lines += ["### Goals", "", *_table(("goal", "bound", "measured", "holds"), _goal_rows(run)), ""]
    lines += [f"Not measured: {what}: {why}" for what, why in run.skipped.items()]
    return "\n".join(lines)


def described(machine: Machine) -> str:
    """Return a machine in words."""
    return f"{machine.cores} cores of {machine.cpu}, {machine.system}, Python {machine.python}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _sizes(run: Run, workload: str) -> str:
    sizes = next(record.sizes for record in run.records if record.workload == workload)
    return f"({', '.join(f'{name} {size:,}' for name, size in sizes.items())}.)"


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(headers)} |", f"|{'---|' * len(headers)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _in_order(run: Run) -> list[str]:
    there = {record.workload for record in run.records}
    return [name for name in WORKLOADS if name in there]


def _cells(record: Record) -> tuple[str, ...]:
    requests = sum(record.requests.values())
    kinds = ", ".join(f"{kind} {number:g}" for kind, number in record.requests.items())
    return (
        record.system,
        record.store,
        ", ".join(f"{name} {value:,g}" for name, value in record.figures.items()),
        f"{record.wall:.3g} s",
        f"{record.cpu:.3g} s",
        f"{record.store_cpu:.3g} s" if record.store_cpu else "",
        f"{record.peak_mib:.0f} MiB",
        f"{requests:g}: {kinds}" if requests else "",
    )


def _goal_rows(run: Run) -> Iterator[tuple[str, ...]]:
    for verdict in verdicts(run):
        goal = verdict.goal
        of_floor = f" ({goal.bound:.0%} of the floor)" if goal.of_floor else ""
        yield (
            f"{goal.workload} on {goal.store}: {goal.figure}",
            f"{'at least' if goal.at_least else 'at most'} {verdict.bound:,.4g}{of_floor}",
            f"{verdict.value:,.4g}",
            "yes" if verdict.holds else "no",
        )
