"""The chart in docs/performance.md: each system's key figure for the workloads that peers have, too."""

from __future__ import annotations

from pathlib import Path

from benchmarks.records import Run
from benchmarks.report import described
from benchmarks.workloads import WORKLOADS

_CHARTED = ("chain", "concurrent", "fan", "signal")
_TITLES = {"steps_per_s": "steps/s, more is better", "workflows_per_s": "workflows/s, more is better"}
_COLOURS = {"perdure": "#2b6cb0", "floor": "#a0aec0"}
_PEER = "#dd6b20"


def draw(run: Run, path: Path) -> None:
    """Write the chart as SVG. Raises ImportError without matplotlib, which the extra `bench` brings."""
    import matplotlib as mpl

    mpl.use("svg")
    # no date and no random ids: the same figures make the same file; text stays text
    mpl.rcParams.update({"svg.hashsalt": "perdure", "svg.fonttype": "none", "font.size": 8})
    from matplotlib import pyplot as plt

    there = {record.workload for record in run.records}
    charted = [name for name in _CHARTED if name in there]
    figure, axes = plt.subplots(len(charted), 1, figsize=(8, 2.4 * len(charted)), layout="constrained", squeeze=False)
    for axis, name in zip(axes[:, 0], charted, strict=True):
        workload = WORKLOADS[name]
        records = [each for each in run.records if each.workload == name and workload.key in each.figures]
        labels = [f"{each.system}, {each.store}" for each in records]
        values = [each.figures[workload.key] for each in records]
        bars = axis.barh(labels, values, color=[_COLOURS.get(each.system, _PEER) for each in records])
        axis.bar_label(bars, fmt="{:,.4g}", padding=3)
        axis.invert_yaxis()
        axis.set_title(f"{name} ({_TITLES.get(workload.key, f'{workload.key}, less is better')})", loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{run.day}, {described(run.machine)}", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
