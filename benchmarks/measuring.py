"""What a piece of work costs its machine: wall time, CPU, memory. Standard library only: peers measure with it, too."""

from __future__ import annotations

import os
import re
import resource
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

_MIB = 1024 * 1024
_PROC = Path("/proc")
_MOST_ROUNDS = 10
"""More of them are samples, of which the figures tell."""


def peak_mib(pid: int | None = None) -> float:
    """Return the most memory that a process has had, in MiB: this one for None. 0 where the system does not say.

    Linux passes a parent's peak on to what `getrusage` says of its child, so `/proc` is asked first.
    """
    found = _status_mib(pid, "VmHWM")
    if found is not None:
        return found
    if pid is not None:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (_MIB if sys.platform == "darwin" else 1024), 1)


def resident_mib(pid: int | None = None) -> float:
    """Return the memory that a process has now, in MiB: this one for None. 0 where the system does not say."""
    return _status_mib(pid, "VmRSS") or 0.0


def cpu_of(pids: Iterable[int]) -> float:
    """Return the CPU seconds that living processes have used, their own ended children included; 0 without `/proc`."""
    total = 0.0
    for pid in pids:
        stat = _PROC / str(pid) / "stat"
        if stat.exists():
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            # utime, stime, cutime and cstime are fields 14 to 17, proc(5); what follows ")" begins with the third
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def cpu_here() -> float:
    """Return the CPU seconds of this process and its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def load() -> float:
    """Return the system's load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value below which `part` (0 to 1) of the values lie: the nearest that there is."""
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


class Meter:
    """Measures rounds of work.

    Args:
        children: ids of processes that do part of the work.
        store: ids of the processes of the store.
    """

    def __init__(self, children: Sequence[int] = (), store: Sequence[int] = ()) -> None:
        self.walls: list[float] = []
        """Seconds of each round."""
        self.cpu = 0.0
        """CPU seconds of this process and its children, over all rounds."""
        self.store_cpu = 0.0
        """CPU seconds of the store's processes, over all rounds."""
        self._children, self._store = children, store
        self._began = (0.0, 0.0, 0.0)

    def __enter__(self) -> Self:
        self._began = (time.perf_counter(), self._used, cpu_of(self._store))
        return self

    def __exit__(self, *_: object) -> None:
        wall, cpu, store = self._began
        self.walls.append(time.perf_counter() - wall)
        self.cpu += self._used - cpu
        self.store_cpu += cpu_of(self._store) - store

    @property
    def _used(self) -> float:
        return cpu_here() + cpu_of(self._children)

    @property
    def wall(self) -> float:
        """Seconds of the median round."""
        return statistics.median(self.walls)


def measured(meter: Meter, figures: dict[str, float]) -> dict[str, object]:
    """Return what a meter has measured, and figures of the same work, as a record holds them."""
    rounds = len(meter.walls)
    return {
        "figures": {name: significant(value) for name, value in figures.items()},
        "rounds": [significant(wall) for wall in meter.walls] if rounds <= _MOST_ROUNDS else [],
        "wall": significant(meter.wall),
        "cpu": significant(meter.cpu / rounds),
        "store_cpu": significant(meter.store_cpu / rounds),
        "peak_mib": round(peak_mib(), 1),
    }


def significant(value: float) -> float:
    """Return a value to four significant digits."""
    return float(f"{value:.4g}")


def _status_mib(pid: int | None, field: str) -> float | None:
    status = _PROC / ("self" if pid is None else str(pid)) / "status"
    if not status.exists():
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB$", status.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return None if found is None else round(int(found[1]) / 1024, 1)
