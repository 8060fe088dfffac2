"""A workflow whose agent runs in mode `steps`, on real hosts that are killed with `kill -9` after every step."""

from __future__ import annotations

import http.client
import json
import runpy
import shutil
import signal
import sys
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.agents.workflows import comparing
from tests.agents.workflows.corpus import Example
from tests.azurite import ROOT
from tests.hosts.conftest import deployed
from tests.local.running_host import wait_until

APP = ROOT / "tests" / "agents" / "workflows" / "app"
MODELS = ROOT / "tests" / "agents" / "models.py"
STEPS = ["model 0", "tool 0", "model 1", "count 0"]


@pytest.fixture(params=["embedded", pytest.param("azurite", marks=pytest.mark.azurite)])
def deployment(request, tmp_path):
    app = deployed(APP, request, tmp_path)
    shutil.copy(MODELS, app.folder / "scripted_models.py")
    return app


async def in_process(folder: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[Any]]:
    """Return outputs, and events by type and superstep or executor, of the framework's own run."""
    monkeypatch.syspath_prepend(str(folder))
    build = runpy.run_path(str(folder / "flow.py"))["build"]
    outputs = (await comparing.in_process(Example(build, "look"))).outputs
    result = await build().run("look")
    del sys.modules["scripted_models"]
    return outputs, [(event.type, event.iteration or event.executor_id) for event in result]


def steps_of(deployment: Any) -> list[list[str]]:
    """The steps that were begun, by process."""
    found: dict[str, list[str]] = {}
    for line in deployment.ledger.read_text().splitlines():
        pid, step = line.split(maxsplit=1)
        found.setdefault(pid, []).append(step)
    return list(found.values())


def ask(running: Any, method: str, path: str, body: Any = None) -> bytes:
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=60)
    connection.request(method, f"/api/workflow/study/{path}", body)
    answer = connection.getresponse().read()
    connection.close()
    return answer


def events_of(running: Any) -> list[Any]:
    """What the run's stream tells, without what a `restart` makes void."""
    told: list[Any] = []
    cursor = ""
    while not told or told[-1][0] != "end":
        for block in ask(running, "GET", f"events/one?cursor={cursor}").decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" not in fields:
                continue
            cursor, data = fields["id"], json.loads(fields["data"])
            if fields["event"] == "restart":
                del told[len(told) - data["superseded"] :]
            else:
                told.append((fields["event"], data.get("iteration") or data.get("executorId")))
    return told


async def test_a_run_that_is_killed_after_each_of_its_steps_repeats_none_that_is_recorded(deployment, monkeypatch):
    for kills, following in enumerate(STEPS[1:], 1):
        with deployment.host(invisibility=1, PACE="0.3") as running:
            running.wait_ready()
            if kills == 1:
                ask(running, "POST", "run?runId=one", "look")
            # once a step has begun, the one before it is recorded
            wait_until(lambda kills=kills: [len(each) for each in steps_of(deployment)] == [2] * kills, following)
            running.signal(signal.SIGKILL)
            running.wait_exit()
    with deployment.host(invisibility=1) as running:
        running.wait_ready()
        wait_until(lambda: json.loads(ask(running, "GET", "status/one"))["runtimeStatus"] == "Completed", "the end")
        output = json.loads(ask(running, "GET", "status/one"))["output"]
        events = events_of(running)
    assert steps_of(deployment) == [*([one, two] for one, two in pairwise(STEPS)), STEPS[-1:]]
    expected, told = await in_process(deployment.folder, monkeypatch)
    assert comparing.without_made_up(output) == expected
    assert events == [*told, ("end", None)]
