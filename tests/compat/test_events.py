"""External events, timers and generations."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture
async def app(deploy):
    return await deploy("events")


async def send(app, instance_id, name, *data):
    response = await app.request("POST", f"send/{instance_id}/{name}", list(data))
    assert response.status_code == 204


@pytest.mark.parametrize("name", ["collect", "collect_at_once"])
async def test_hundreds_of_events_of_one_name(app, name):
    number = 300
    url = await app.start_with("POST", f"orchestrators/{name}/one", number)
    await asyncio.gather(*(send(app, "one", "item", *range(start, number, 4)) for start in range(4)))
    assert await app.completed(url) == list(range(number))


async def test_events_before_and_after_the_wait(app):
    url = await app.start_with("POST", "orchestrators/of_several_names/one")
    await send(app, "one", "BuildingDeptApproval", "b")
    await send(app, "one", "FireDeptApproval", 0)
    await send(app, "one", "CityPlanningApproval", None)
    assert await app.completed(url) == [None, 0, "b"]


async def test_an_approval_in_time(app):
    url = await app.start_with("POST", "orchestrators/approval/one", 3600)
    await send(app, "one", "ApprovalEvent", {"by": "Eve"})
    assert await app.completed(url) == ["approved", {"by": "Eve"}, True, False]


async def test_an_approval_that_does_not_come(app):
    url = await app.start_with("POST", "orchestrators/approval/one", 0.02)
    assert await app.completed(url) == ["escalated", None, False, True]


async def test_an_answer_after_several_rounds(app):
    url = await app.start_with("POST", "orchestrators/reminders/one")
    await app.until(url, lambda status: (status["customStatus"] or 0) > 3)
    await send(app, "one", "answer", "yes")
    assert await app.completed(url) == [True, "yes"]


async def test_continue_as_new_keeps_events(app):
    url = await app.start_with("POST", "orchestrators/counter/one")
    await send(app, "one", "add", *range(40))
    await app.until(url, lambda status: status["customStatus"] == sum(range(40)))
    await send(app, "one", "add", "stop")
    assert await app.completed(url) == sum(range(40))


async def test_continue_as_new_that_is_yielded(app):
    url = await app.start_with("POST", "orchestrators/monitor/one", 5)
    assert await app.completed(url) == "done"


async def test_composites_of_composites(app):
    url = await app.start_with("POST", "orchestrators/nested/one")
    await send(app, "one", "a", 1)
    await send(app, "one", "b", 2)
    await app.until(f"{url}?showHistory=true", lambda status: str(status["historyEvents"]).count("EventRaised") == 2)
    await send(app, "one", "d", 4)
    assert await app.completed(url) == [True, [1, 2], [1, 2], 4, "SUCCEEDED", True]


async def test_composites_of_nothing(app):
    assert await app.completed(await app.start_with("POST", "orchestrators/of_nothing/one")) == [0, True]
