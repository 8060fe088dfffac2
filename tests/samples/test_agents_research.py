"""The research agent on a real host that is killed twice with `kill -9`."""

import http.client
import json
import shutil
import signal
from urllib.parse import urlsplit

import pytest

from tests.local.running_host import RunningHost, wait_until
from tests.samples.deployment import SAMPLES
from tests.storage.providers import new_hub

ASKED = {"message": "Tell me of amber", "session_id": "s", "correlation_id": "c", "wait_for_response": False}
REPORT = "(amber-of-the-baltic) (amber-in-science) (the archive on amber) (summary-of-amber)"
SERVICES = [
    "search amber",
    "read amber-of-the-baltic",
    "read amber-in-science",
    "archive amber",
    "read summary-of-amber",
]


def ask(running, method, path, body=None):
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=60)
    data = None if body is None else json.dumps(body)
    connection.request(method, f"/api/{path}", data, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = json.loads(answer.read() or "null")
    connection.close()
    return answer.status, content


def recorded(running):
    """How many of the turn's steps are recorded."""
    history = ask(running, "GET", "durabletask/instances/dafx-researcher:s:c?showHistory=true")[1]["historyEvents"]
    return sum(event["EventType"] in {"TaskCompleted", "SubOrchestrationInstanceCompleted"} for event in history)


@pytest.fixture(params=["sqlite", pytest.param("azurite", marks=pytest.mark.azurite)])
def connection(request, tmp_path):
    if request.param == "azurite":
        return request.getfixturevalue("azurite").connection_string
    return f"sqlite:///{tmp_path / 'store.db'}"


def test_what_was_paid_for_is_not_paid_for_again(connection, tmp_path):
    folder = tmp_path / "app"
    shutil.copytree(SAMPLES / "agents" / "research", folder, ignore=shutil.ignore_patterns(".perdure", "__pycache__"))
    environ = {
        "AzureWebJobsStorage": connection,
        "AzureFunctionsJobHost__extensions__durableTask__hubName": new_hub(),
        "PERDURE_INVISIBILITY": "1",
        "STEP_SECONDS": "0.7",
    }
    for kill, steps in enumerate((1, 3)):
        with RunningHost(folder, "--no-reload", environ=environ) as running:
            running.wait_ready()
            if kill == 0:
                assert ask(running, "POST", "agents/researcher/run", ASKED)[0] == 202
            wait_until(lambda running=running, steps=steps: recorded(running) >= steps, f"{steps} steps")
            running.signal(signal.SIGKILL)
            running.wait_exit()
    with RunningHost(folder, "--no-reload", environ=environ | {"STEP_SECONDS": "0"}) as running:
        running.wait_ready()
        path = "agents/researcher/sessions/s/runs/c"
        wait_until(lambda: ask(running, "GET", path)[0] == 200, "the report")
        result = ask(running, "GET", path)[1]
    assert result["response"] == f"What is known of amber: {REPORT}"
    bill = [json.loads(line) for line in (folder / ".perdure" / "bill.jsonl").read_text().splitlines()]
    expected = [*SERVICES, "model 1", "model 2", "model 3", "model 4"]
    assert sorted(each["what"] for each in bill if each["charged"]) == sorted(expected)
    # what was under way when the host was killed may have been asked for again, with the same key
    assert len(bill) <= len(expected) + 2
