"""Durable HTTP, the orchestrator's side: polling, waits, credentials."""

from __future__ import annotations

import json
from datetime import timedelta
from email.utils import format_datetime

import pytest

from perdure.core.actions import TaskScheduled, TimerCreated
from perdure.core.http_calls import HTTP_ACTIVITY, ManagedIdentityTokenSource, following
from perdure.core.retry import RetryPolicy
from tests.core.driving import Driver, done, failed, fired

JOB = "https://jobs.example/start?code=1"


def answer(status, content="", **headers):
    return {
        "statusCode": status,
        "headers": {name.replace("_", "-"): v for name, v in headers.items()},
        "content": content,
    }


def calling(*args, **more):
    def flow(context):
        return (yield context.call_http(*args, **more))

    return flow


def request_of(action):
    assert isinstance(action, TaskScheduled)
    assert action.name == HTTP_ACTIVITY
    return json.loads(action.input)


@pytest.fixture(params=[False, True], ids=["live", "cold"])
def drive(request):
    return lambda function: Driver(function, cold=request.param)


def test_an_answer_is_the_result(drive):
    run = drive(calling("get", JOB, headers={"a": "b"}))
    [action] = run.start()
    request = request_of(action)
    assert (request["method"], request["uri"], request["headers"]) == ("GET", JOB, {"a": "b"})
    assert (request["content"], request["tokenSource"], request["timeout"]) == (None, None, 100.0)
    run.turn(done(0, answer(404, "no")))
    assert run.output == answer(404, "no")


@pytest.mark.parametrize(
    ("content", "raw", "sent", "content_type"),
    [
        ({"a": 1}, False, '{"a": 1}', "application/json"),
        ("text", False, '"text"', "application/json"),
        ("text", True, "text", "text/plain; charset=utf-8"),
        (0, False, "0", "application/json"),
    ],
)
def test_what_is_sent(content, raw, sent, content_type):
    [action] = Driver(calling("POST", JOB, content, None, None, raw)).start()
    request = request_of(action)
    assert (request["content"], request["headers"]) == (sent, {"Content-Type": content_type})
    [action] = Driver(calling("POST", JOB, content, {"content-type": "x/y"}, None, raw)).start()
    assert request_of(action)["headers"] == {"content-type": "x/y"}


def test_after_202_the_location_is_asked_until_the_answer_is_another(drive):
    run = drive(
        calling("POST", JOB, {"a": 1}, {"x-functions-key": "k"}, ManagedIdentityTokenSource("https://r.example"))
    )
    [action] = run.start()
    assert request_of(action)["tokenSource"] == {"resource": "https://r.example"}
    for attempt, retry_after in enumerate(("7", None, "0", "99999999", "soon")):
        headers = {"Location": "/status/1"} | ({} if retry_after is None else {"Retry_After": retry_after})
        [timer] = run.turn(done(2 * attempt, answer(202, **headers)))
        assert isinstance(timer, TimerCreated)
        expected = {"7": 7, None: 30, "0": 1, "99999999": 86_400, "soon": 30}[retry_after]
        assert timer.fire_at - run.now == timedelta(seconds=expected)
        [action] = run.turn(fired(timer.no), after=100_000)
        request = request_of(action)
        assert (request["method"], request["uri"], request["content"]) == ("GET", "https://jobs.example/status/1", None)
        assert request["headers"] == {"x-functions-key": "k"}
        assert request["tokenSource"] is not None
    run.turn(done(10, answer(200, "done")))
    assert run.output == answer(200, "done")


def test_a_date_to_ask_again(drive):
    run = drive(calling("GET", JOB))
    run.start()
    at = (run.now + timedelta(seconds=91)).replace(microsecond=0)
    [timer] = run.turn(done(0, answer(202, Location="x", Retry_After=format_datetime(at, usegmt=True))))
    assert timer.fire_at == at
    run.turn(fired(1), after=91)
    no_zone = "Mon, 02 Mar 2026 00:00:00 -0000"
    [timer] = run.turn(done(2, answer(202, Location="y", Retry_After=no_zone)))
    assert timer.fire_at.isoformat() == "2026-03-02T00:00:00+00:00"


@pytest.mark.parametrize("headers", [{}, {"Location": "/x"}])
def test_a_202_may_be_the_result(headers):
    run = Driver(calling("GET", JOB, asynchronous_pattern_enabled=not headers))
    run.start()
    run.turn(done(0, answer(202, **headers)))
    assert run.output["statusCode"] == 202


def test_a_location_that_is_none_is_told():
    run = Driver(calling("GET", JOB))
    run.start()
    run.turn(done(0, answer(202, Location="ftp://x")))
    assert "'ftp://x' is no absolute URI that begins with http:// or https://" in run.output


@pytest.mark.parametrize(
    ("location", "kept"),
    [
        ("/other", True),
        ("https://jobs.example:443/x", True),
        ("https://JOBS.example/x", True),
        ("https://jobs.example:8443/x", False),
        ("http://jobs.example/x", False),
        ("https://evil.example/x", False),
        ("//evil.example/x", False),
    ],
)
def test_credentials_do_not_go_to_another_origin(location, kept):
    secret = {"Authorization": "Bearer t", "COOKIE": "c", "X-Functions-Key": "k", "Accept": "a", "Content-Type": "c"}
    request = {"method": "POST", "uri": JOB, "content": "x", "headers": secret, "tokenSource": {"resource": "r"}}
    asked = following(request, location)
    assert ("Authorization" in asked["headers"], asked["tokenSource"] is not None) == (kept, kept)
    assert {"Accept"} <= set(asked["headers"]) <= set(secret) - {"Content-Type"}
    assert (asked["method"], asked["content"]) == ("GET", None)


def test_exchanges_are_retried_by_policy(drive):
    run = drive(calling("GET", JOB, retry_policy=RetryPolicy(timedelta(seconds=1), 2)))
    [action] = run.start()
    assert request_of(action)["retries"] is True
    [timer] = run.turn(failed(0, "perdure.durable_http.exchange.HttpStatusError", "503"))
    run.turn(fired(timer.no))
    run.turn(done(2, answer(200)))
    assert run.output == answer(200)


def test_no_answer_fails_the_task(drive):
    run = drive(calling("GET", JOB))
    run.start()
    run.turn(failed(0, "HttpCallError", "not found"))
    assert "activity 'BuiltIn::HttpActivity' failed: HttpCallError: not found" in run.output


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("GET", "/relative"), "'/relative' is no absolute URI"),
        (("GET", "ftp://x.example"), "is no absolute URI"),
        (("GET", "https://x.example:99999/"), "is no URI: Port out of range"),
        (("GET", "https://x.example:0/"), "is no absolute URI"),
        (("GET", None), "None is no absolute URI"),
        (("GET", "https://[::1"), "is no URI"),
        (("GE T", JOB), "'GE T' is no HTTP method"),
        ((5, JOB), "5 is no HTTP method"),
        (("POST", JOB, {"a": 1}, None, None, True), "is_raw_str is for content that is a str, not dict"),
    ],
)
def test_what_cannot_be_sent(args, told):
    run = Driver(calling(*args))
    run.start()
    assert told in run.output
