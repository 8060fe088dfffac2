"""What a run has measured, as JSON, and how two runs compare. Names no machine, path or user."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import msgspec

_CPU_INFO = Path("/proc/cpuinfo")


class Machine(msgspec.Struct, frozen=True):
    """Where it ran."""

    cores: int
    cpu: str
    system: str
    python: str


class Record(msgspec.Struct, kw_only=True):
    """One workload on one system: Perdure over a store, its floor, or a peer."""

    system: str
    """`perdure`, `floor`, or the peer with its version."""
    store: str
    """Where its state is; for a peer in its own words."""
    workload: str
    sizes: dict[str, int]
    figures: dict[str, float]
    rounds: list[float] = []
    """Seconds of each round."""
    wall: float
    """Seconds of the median round."""
    cpu: float
    """CPU seconds a round, of the measured process and its children."""
    store_cpu: float
    """CPU seconds a round of the store's own processes."""
    peak_mib: float
    """Most memory of the measured process."""
    requests: dict[str, float] = {}
    """Storage requests a round by kind; empty where nobody counts them."""
    shape: dict[str, float] = {}
    """Of the writes, in bytes."""
    load: float
    """Load average of the system when the measurement began."""


def median_of(records: list[Record], figure: str) -> Record:
    """Return the record in the middle, by one of their figures; of an even number the upper one."""
    return sorted(records, key=lambda record: record.figures[figure])[len(records) // 2]


class Run(msgspec.Struct, kw_only=True):
    """A run of the benchmark."""

    day: str
    revision: str
    machine: Machine
    full: bool
    """Whether it had the full sizes. Small ones say nothing of speed."""
    records: list[Record]
    skipped: dict[str, str] = {}
    """What was not measured, and why."""

    def find(self, system: str, store: str, workload: str) -> Record | None:
        """Return the record of a workload, if there is one."""
        found = (each for each in self.records if (each.system, each.store, each.workload) == (system, store, workload))
        return next(found, None)


class Difference(msgspec.Struct, frozen=True):
    """A figure of two runs."""

    system: str
    store: str
    workload: str
    figure: str
    before: float
    now: float


def this_machine() -> Machine:
    """Describe the machine by what matters to speed."""
    model = platform.processor() or platform.machine()
    if _CPU_INFO.exists():
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
        models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        model = next(models, model)
    return Machine(os.cpu_count() or 1, model, platform.system(), platform.python_version())


def write_run(run: Run, path: Path) -> None:
    """Write a run as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")


def read_run(path: Path) -> Run:
    """Read what `write_run` wrote. Raises OSError, and msgspec.MsgspecError for something else."""
    return msgspec.json.decode(path.read_bytes(), type=Run)


def differences(before: Run, now: Run) -> list[Difference]:
    """Return all figures that two runs share, the number of requests among them."""
    found: list[Difference] = []
    for record in now.records:
        old = before.find(record.system, record.store, record.workload)
        if old is None or old.sizes != record.sizes:
            continue
        was, figures = _all_figures(old), _all_figures(record)
        found += [
            Difference(record.system, record.store, record.workload, name, was[name], value)
            for name, value in figures.items()
            if name in was
        ]
    return found


def _all_figures(record: Record) -> dict[str, float]:
    figures = {**record.figures, "cpu": record.cpu, "peak_mib": record.peak_mib}
    return figures | ({"requests": sum(record.requests.values())} if record.requests else {})
