"""The command line and what it is given: one line that names it, an exit code, no traceback."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from perdure.storage.sqlite import SqliteStorage
from tests.azurite import ROOT

APP = """
import perdure_functions as df

app = df.DFApp()

@app.orchestration_trigger("context")
def echo(context):
    return context.get_input()
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    (folder / "function_app.py").write_text(APP)
    (folder / "host.json").write_text("{}")
    storage = SqliteStorage.open("TestHubName", folder / ".perdure" / "store.db")
    asyncio.run(_create(storage))
    return folder


async def _create(storage):
    await storage.create()
    await storage.close()


def perdure(folder, *arguments, **environ):
    """Run a command in a folder; return what it says. It may fail, but only in its own words."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AzureWebJobs", "PERDURE_"))}
    source = os.pathsep.join([str(ROOT / "host"), str(ROOT / "bindings")])
    run = subprocess.run(
        [sys.executable, "-m", "perdure.cli.main", *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": source, **environ},
        capture_output=True,
        timeout=60,
        check=False,
    )
    said = (run.stdout + run.stderr).decode()
    assert "Traceback" not in said, said
    assert run.returncode > 0, said
    return said


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["start", "--port", "-1"], "--port"),
        (["start", "--port", "65536"], "--port"),
        (["start", "--port", "x"], "--port"),
        (["start", "--port", "9" * 5_000], "--port"),
        (["start", "--invisibility", "nan"], "--invisibility"),
        (["start", "--invisibility", "inf"], "--invisibility"),
        (["start", "--address", "256.1.1.1", "--port", "0"], "256.1.1.1"),
        (["start", "--address", "x" * 300, "--port", "0"], "xxx"),
        (["start", "--address", "\udcff", "--port", "0"], "address"),
        (["start", "--app-dir", "/nowhere/at/all"], "/nowhere/at/all"),
        (["start", "--app-dir", "x" * 5_000], "xxx"),
        (["start", "--storage", "../x"], "../x"),
        (["history", ""], "instance id"),
        (["history", "x" * 257], "instance id"),
        (["history", "\udcff"], "surrogate"),
        (["history", "' or true or '"], "' or true or '"),
        (["history", "one", "--app-dir", "/nowhere/at/all"], "/nowhere/at/all"),
        (["replay"], "what to replay"),
        (["replay", "--instance", "../../x"], "../../x"),
        (["replay", "/nowhere/at/all"], "/nowhere/at/all"),
        (["check", "/nowhere/at/all"], "/nowhere"),
        (["check", "x" * 5_000], "xxx"),
        (["check", "--select", "' or 1"], "' or 1"),
        (["nonsense"], "nonsense"),
    ],
)
def test_hostile_arguments(app, arguments, names):
    storage = ["--storage", "embedded"] if arguments[0] in ("history", "replay") else []
    assert names in perdure(app, *arguments, *storage, COLUMNS="10000").replace("\n", "")


HISTORIES = {
    "nothing": b"",
    "null": b"null",
    "deep": b"[" * 1_000_000,
    "deep objects": b'{"instance":' * 100_000,
    "digits": b'{"format":' + b"9" * 5_000 + b"}",
    "no UTF-8": b"\xff\xfe\x00",
    "another object": b'{"instance": {"a": NaN}, "turns": [[]]}',
    "a picture": bytes(range(256)) * 100,
}


@pytest.mark.parametrize("case", HISTORIES)
def test_a_hostile_history(app, tmp_path, case):
    file = tmp_path / "history.json"
    file.write_bytes(HISTORIES[case])
    assert "history.json" in perdure(app, "replay", str(file), "--storage", "embedded")


SOURCES = {
    "NUL": b"x = 1\x00",
    "no UTF-8": b"x = '\xff\xfe'",
    "deep": b"x = " + b"(" * 10_000 + b")" * 10_000,
    "deep lists": b"x = " + b"[" * 5_000 + b"]" * 5_000,
    "deep calls": b"x = " + b"f(" * 20_000 + b")" * 20_000,
    "long sum": b"x = " + b"1+" * 100_000 + b"1",
    "deep blocks": b"".join(b" " * depth + b"if x:\n" for depth in range(200)) + b" " * 200 + b"x\n",
    "digits": b"x = " + b"9" * 5_000,
    "attributes": b"x" + b".x" * 50_000,
}


@pytest.mark.parametrize("case", SOURCES)
def test_check_reads_hostile_source_or_says_that_it_can_not(tmp_path, case):
    (tmp_path / "function_app.py").write_bytes(b"def orchestrate(context): ...\n" + SOURCES[case])
    said = perdure(tmp_path, "check", "--format", "json")
    findings, _ = json.JSONDecoder().raw_decode(said)
    assert [finding["rule"] for finding in findings] == ["unreadable"]


@pytest.mark.parametrize(("name", "value"), [("INVISIBILITY", "nan"), ("INVISIBILITY", "x"), ("CHECK", "x")])
def test_hostile_settings_in_the_environment(app, name, value):
    assert name.lower() in perdure(app, "start", "--port", "0", **{f"PERDURE_{name}": value}).lower()


def test_a_hostile_app(tmp_path):
    (tmp_path / "host.json").write_text("{}")
    for source in (b"x = 1\x00", b"\xff", b"raise SystemExit(0)", b"import nothing_of_this_name", b"app = 5", b"1/0"):
        (tmp_path / "function_app.py").write_bytes(source)
        assert "function_app" in perdure(tmp_path, "history", "one", "--storage", "embedded"), source
