"""What the benchmark says of its measurements."""

from __future__ import annotations

import json
import os
import sys

import pytest
from benchmarks import __main__ as benchmark
from benchmarks import report
from benchmarks.goals import verdicts
from benchmarks.peers import Peer, running
from benchmarks.records import Machine, Record, Run, differences, median_of, read_run, this_machine, write_run
from benchmarks.stores import ROOT
from benchmarks.workloads import WORKLOADS

MACHINE = Machine(cores=2, cpu="Some CPU", system="Linux", python="3.13.0")


def record(system="perdure", store="azurite", workload="chain", **more):
    given = {"sizes": {"steps": 100}, "figures": {"steps_per_s": 200.0}, "wall": 0.5, "cpu": 0.2, "store_cpu": 0.1}
    return Record(system=system, store=store, workload=workload, **{**given, "peak_mib": 70, "load": 0.1, **more})


def run_of(*records, full=True):
    return Run(day="2026-01-01", revision="abc", machine=MACHINE, full=full, records=list(records))


def test_a_run_comes_back_from_its_file(tmp_path):
    run = run_of(record(requests={"table:merge": 101}))
    write_run(run, tmp_path / "results" / "one.json")
    assert read_run(tmp_path / "results" / "one.json") == run


def test_only_figures_of_the_same_work_are_compared():
    before = run_of(record(requests={"table:merge": 101}), record(workload="fan", sizes={"activities": 10}))
    now = run_of(
        record(figures={"steps_per_s": 300.0}, requests={"table:merge": 90}),
        record(workload="fan", sizes={"activities": 500}),
        record("dbos 3", "SQLite file"),
    )
    found = {each.figure: (each.workload, each.before, each.now) for each in differences(before, now)}
    assert found["steps_per_s"] == ("chain", 200.0, 300.0)
    assert found["requests"] == ("chain", 101, 90)
    assert {workload for workload, _, _ in found.values()} == {"chain"}


@pytest.mark.parametrize(("floor", "holds"), [(200.0, True), (266.0, True), (267.0, False)])
def test_a_goal_may_be_a_part_of_the_floor(floor, holds):
    run = run_of(record(), record("floor", figures={"steps_per_s": floor}))
    (verdict,) = verdicts(run)
    assert verdict.bound == pytest.approx(0.75 * floor)
    assert verdict.holds is holds


def test_of_several_runs_the_middle_one_is_told():
    runs = [record(figures={"steps_per_s": speed}) for speed in (900.0, 100.0, 500.0)]
    assert median_of(runs, "steps_per_s").figures == {"steps_per_s": 500.0}


def test_a_goal_of_the_floor_says_nothing_without_one():
    assert not list(verdicts(run_of(record())))


def test_a_page_gets_the_figures_in_their_place(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- figures of a run -->\nlast week\n<!-- end of figures -->\nafter\n")
    run = run_of(record(), record("floor"))
    run.skipped["dbos"] = "it can't be installed here: no network"
    report.write_page(run, page)
    text = page.read_text()
    assert text.startswith("# Page\n")
    assert text.endswith("<!-- end of figures -->\nafter\n")
    assert "last week" not in text
    assert "| perdure | azurite | steps_per_s 200 |" in text
    assert "2 cores of Some CPU, Linux, Python 3.13.0" in text
    assert "Not measured: dbos: it can't be installed here: no network" in text


def test_a_page_gets_nothing_of_a_run_with_small_sizes(tmp_path):
    with pytest.raises(ValueError, match="nothing of speed"):
        report.write_page(run_of(record(), full=False), tmp_path / "page.md")


def test_the_page_in_docs_has_the_figures_of_the_reference_run_and_shows_the_chart(tmp_path):
    page = ROOT / "docs" / "performance.md"
    text, copy = page.read_text(encoding="utf-8"), tmp_path / "page.md"
    copy.write_text(text, encoding="utf-8")
    report.write_page(read_run(ROOT / "benchmarks" / "results" / "reference.json"), copy)
    assert copy.read_text(encoding="utf-8") == text
    assert "](performance.svg)" in text
    assert (page.parent / "performance.svg").exists()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--compare", "nowhere.json"], "argument --compare: nowhere.json is no file"),
        (["--small", "--page"], "--page: small sizes say nothing of speed"),
        (["--workloads", "chain,chess"], "chess: choose from chain"),
    ],
)
def test_options_that_make_no_sense_are_told_before_anything_is_measured(options, complaint, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", *options])
    monkeypatch.setattr(benchmark, "_measured", None)
    with pytest.raises(SystemExit):
        benchmark.main()
    assert complaint in capsys.readouterr().err


def test_the_machine_is_described_without_its_name():
    described = json.dumps([getattr(this_machine(), name) for name in Machine.__struct_fields__])
    assert os.uname().nodename not in described


def test_a_peer_that_cannot_be_installed_is_said_to_be_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_HOME", tmp_path / "peers")
    monkeypatch.setitem(running.PEERS, "none", Peer("none_peer", "nowhere", (str(tmp_path / "no-such-package.whl"),)))
    with pytest.raises(running.PeerMissing, match="can't be installed here") as missing:
        running.measure_peer("none", "chain", {})
    assert str(tmp_path) not in str(missing.value)


def test_a_peer_that_fails_says_why(tmp_path):
    with pytest.raises(running.PeerFailed, match="No module named"):
        running._measured(sys.executable, Peer("none_peer", "nowhere", ("none",)), {"folder": str(tmp_path)})


def test_every_workload_has_a_key_figure_and_small_sizes_of_the_same_names():
    for workload in WORKLOADS.values():
        assert workload.key
        assert workload.sizes.keys() == workload.small.keys()
        assert (workload.run is None) != (workload.hosted is None)
