"""Agents on real hosts: `kill -9` after every step, streams that are cut, requests over HTTP."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import signal
from contextlib import closing
from itertools import pairwise
from urllib.parse import urlsplit

import pytest

from tests.azurite import ROOT
from tests.hosts.conftest import deployed
from tests.local.running_host import wait_until

APP = ROOT / "tests" / "agents" / "app"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(params=["embedded", pytest.param("azurite", marks=pytest.mark.azurite)])
def deployment(request, tmp_path):
    agents = deployed(APP, request, tmp_path)
    shutil.copy(APP.parent / "models.py", agents.folder / "scripted_models.py")
    return agents


def host(deployment, **variables):
    return deployment.host(invisibility=2, **variables)


def ask(running, method, path, body=None, headers=JSON):
    """Return status, headers and body of an answer."""
    data = body if body is None or isinstance(body, str) else json.dumps(body)
    with closing(http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=60)) as connection:
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    return answer.status, answer.headers, text


def ask_json(running, method, path, body=None):
    status, _, text = ask(running, method, path, body)
    assert text, (status, path)
    return status, json.loads(text)


def steps_of(deployment):
    """The steps that were begun, by process."""
    found = {}
    for line in deployment.ledger.read_text().splitlines():
        pid, kind, number, *_ = line.split()
        found.setdefault(pid, []).append(f"{kind} {number}")
    return list(found.values())


def test_a_turn_that_is_killed_after_each_of_its_steps_repeats_none_that_is_recorded(deployment):
    asked = {"message": "look 2", "session_id": "s", "correlation_id": "c", "wait_for_response": False}
    expected = ["model 0", "tool 0", "model 1", "tool 1", "model 2"]
    for kills, following in enumerate(expected[1:]):
        with host(deployment, PACE="0.4") as running:
            running.wait_ready()
            if kills == 0:
                assert ask_json(running, "POST", "/api/agents/researcher/run", asked)[0] == 202
            # once a step has begun, the one before it is recorded
            wait_until(lambda kills=kills: [len(each) for each in steps_of(deployment)] == [2] * (kills + 1), following)
            running.signal(signal.SIGKILL)
            running.wait_exit()
    with host(deployment) as running:
        running.wait_ready()
        path = "/api/agents/researcher/sessions/s/runs/c"
        wait_until(lambda: ask_json(running, "GET", path)[0] == 200, "the turn")
        result = ask_json(running, "GET", path)[1]
        assert ask_json(running, "GET", "/api/agents/researcher/sessions/s")[1]["message_count"] == 6
    assert result["response"] == "look 2: page 0, page 1"
    assert steps_of(deployment) == [*([one, two] for one, two in pairwise(expected)), expected[-1:]]


def read_events(running, path, last_id, cut_after):
    """Read server-sent events and drop the connection after so many; return id, event and data of each."""
    connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=60)
    connection.request("GET", path, headers={"Last-Event-ID": last_id} if last_id else {})
    answer = connection.getresponse()
    events, event = [], {}
    assert answer.status == 200, answer.read()
    for line in answer:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name:
            event[name] = value
        elif "id" in event:
            events.append((event["id"], event["event"], json.loads(event["data"])))
            event = {}
            if len(events) == cut_after:
                break
    connection.close()
    return events


def test_a_stream_that_is_cut_three_times_says_everything_once(deployment):
    with host(deployment, PACE="0.01") as running:
        running.wait_ready()
        asked = {"message": "120", "session_id": "s", "wait_for_response": False}
        status, accepted = ask_json(running, "POST", "/api/agents/storyteller/run", asked)
        assert (status, accepted["status"]) == (202, "accepted")
        wait_until(lambda: ask(running, "GET", accepted["stream_path"])[0] == 200, "the stream")
        events, last_id, cuts = [], "", 0
        while not events or events[-1][1] != "end":
            cut_after = [2, 1, 3][cuts] if cuts < 3 else -1
            got = read_events(running, accepted["stream_path"], last_id, cut_after)
            cuts += len(got) == cut_after
            events += got
            last_id = events[-1][0]
        assert cuts == 3
        words = "".join(data["text"] for _, event, data in events if event == "update")
        assert words == "".join(f"word{number} " for number in range(120))
        assert len({key for key, _, _ in events}) == len(events)
        again = read_events(running, "/api/agents/storyteller/stream/s", "", -1)
        assert again == events
        assert ask(running, "GET", "/api/agents/storyteller/stream/s", headers={"Last-Event-ID": last_id})[0] == 204


def test_requests_and_answers(deployment):
    with host(deployment) as running:
        running.wait_ready()
        run = "/api/agents/parrot/run"
        status, answer = ask_json(running, "POST", run, {"message": "hi", "thread_id": "t"})
        expected = {"status": "success", "response": "hi (1)", "message": "hi", "session_id": "t", "message_count": 2}
        assert status == 200
        assert {key: answer[key] for key in expected} == expected
        assert re.fullmatch("[0-9a-f]{32}", answer["correlation_id"])
        status, headers, text = ask(running, "POST", f"{run}?session_id=t", "ho", {"Content-Type": "text/plain"})
        assert (status, headers["x-ms-session-id"], text) == (200, "t", "ho (2)")
        found = ask_json(running, "GET", f"/api/agents/parrot/sessions/t/runs/{answer['correlation_id']}")
        assert found == (200, answer)
        status, transcript = ask_json(running, "GET", "/api/agents/parrot/sessions/t")
        assert (status, transcript["turns"], transcript["message_count"]) == (200, 2, 4)
        waits = {"x-ms-wait-for-response": "false", **JSON}
        status, headers, text = ask(running, "POST", run, {"message": "later", "session_id": "t"}, waits)
        assert (status, json.loads(text)["status"]) == (202, "accepted")
        wait_until(lambda: ask(running, "GET", headers["Location"])[0] == 200, "the answer")
        assert json.loads(ask(running, "GET", headers["Location"])[2])["response"] == "later (3)"

        status, failed = ask_json(running, "POST", "/api/agents/broken/run", {"message": "hi", "session_id": "b"})
        assert (status, failed["status"]) == (500, "failed")
        assert "RuntimeError: no model today" in failed["error"]
        status, again = ask_json(running, "GET", f"/api/agents/broken/sessions/b/runs/{failed['correlation_id']}")
        assert (status, again["error"]) == (500, failed["error"])
        assert ask_json(running, "POST", "/api/panel")[1] == ["look 2: page 0, page 1", "hello (1)"]
        assert ask_json(running, "GET", "/api/health")[1]["agent_count"] == 5
        assert ask_json(running, "GET", "/api/agents/requests") == (200, {"requests": []})

        wait_until(lambda: ask(running, "DELETE", "/api/agents/parrot/sessions/t")[0] == 204, "the deletion")
        assert ask_json(running, "GET", "/api/agents/parrot/sessions/t")[0] == 404
        assert ask_json(running, "GET", "/api/agents/parrot/stream/t")[0] == 404
        for body, why in (
            ("{", "the body is no JSON"),
            ("[]", "JSON object"),
            ({}, "a message is required"),
            ({"message": " "}, "a message is required"),
            ({"message": "hi", "session_id": "a", "thread_id": "b"}, "several sessions"),
            ({"message": "hi", "session_id": "x" * 121}, "1 to 120 characters"),
            ({"message": "hi", "correlation_id": "a b"}, "a correlation id"),
            ({"message": "hi", "role": "king"}, "role"),
            ({"message": "hi", "response_format": "json"}, "response_format"),
        ):
            status, complaint = ask_json(running, "POST", run, body)
            assert (status, why in complaint["error"]) == (400, True), complaint
        assert ask(running, "POST", "/api/agents/nobody/run", {"message": "hi"})[0] == 404
        assert ask_json(running, "GET", "/api/agents/parrot/sessions/t/runs/nothing")[0] == 404
        answer = {"approved": True}
        path = "/api/agents/parrot/sessions/t/runs/nothing/requests/0-0"
        assert ask_json(running, "POST", path, answer)[0] == 404
        assert ask_json(running, "GET", "/api/agents/storyteller/stream/s?cursor=no")[0] == 400
