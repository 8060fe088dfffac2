"""Orchestrations that call a server of this machine."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.core.http_calls import HTTP_ACTIVITY
from perdure.core.retry import RetryPolicy
from perdure.durable_http import HttpExchange
from tests.durable_http.server import Server


@pytest.fixture
async def server():
    server = Server()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def calling(hub):
    @hub.orchestrator
    async def flow(context):
        url, retried = context.get_input()
        policy = RetryPolicy(timedelta(milliseconds=10), 3) if retried else None
        answer = await context.call_http("POST", url, {"order": 1}, {"X-Mine": "1"}, retry_policy=policy)
        return [answer["statusCode"], answer["content"]]

    hub.registry.activities.add(HTTP_ACTIVITY, HttpExchange().run)
    await hub.add_worker()
    return hub


async def test_a_job_that_is_asked_after_until_it_is_done(calling, server):
    assert await calling.output(await calling.start("flow", [f"{server.url}/job", False])) == [200, '"finished"']
    assert [(method, what) for method, what, *_ in server.asked] == [("POST", "job"), *[("GET", "job/1")] * 3]
    assert all(headers["X-Mine"] == "1" for *_, headers, _ in server.asked)


async def test_a_server_that_comes_back(calling, server):
    assert await calling.output(await calling.start("flow", [f"{server.url}/flaky", True])) == [200, "at last"]
    keys = {headers["Idempotency-Key"] for *_, headers, _ in server.asked}
    assert (len(server.asked), len(keys)) == (3, 1)


async def test_a_server_that_stays_away(calling, server):
    failed = await calling.ended(await calling.start("flow", [f"{server.url}/status/503", True]))
    assert "HttpStatusError: POST http://127.0.0.1" in failed.output
    assert len(server.asked) == 3
    answered = await calling.start("flow", [f"{server.url}/status/503", False])
    assert await calling.output(answered) == [503, "said"]
