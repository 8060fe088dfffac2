"""Durable streams over the management API."""

from __future__ import annotations

import json

import pytest

import perdure_functions as df
from tests.functions.driving import content


@pytest.fixture
async def driver(drive):
    app = df.DFApp()

    @app.orchestration_trigger("context")
    def talk(context):
        words = context.get_input()
        yield context.call_activity(say, words)
        yield context.wait_for_external_event("enough")

    @app.activity_trigger("words")
    async def say(words):
        async with df.activity_context().stream("talk") as stream:
            for word in words:
                await stream.write(word)

    return await drive(app)


async def talking(driver, *words):
    """Start an instance that says something; return the address of its stream once it has."""
    status = content(await driver.request("POST", "durabletask/orchestrators/talk/one", list(words)))
    client = await driver.app.runtime.client(None, None)
    page = await client.read_stream("one", "talk", wait=30)
    while len(page.items) < len(words):
        page = await client.read_stream("one", "talk")
    return "durabletask/instances/one/streams/talk", status


def events(response):
    """The events of an answer, each as a dictionary of its fields."""
    assert (response.status_code, response.mimetype) == (200, "text/event-stream")
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    found = []
    for block in response.get_body().decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in fields:
            found.append(fields | {"data": json.loads(fields["data"])})
    return found


async def test_as_events_with_ids_to_resume_from(driver):
    url, _ = await talking(driver, "a", {"b": "\n"}, "é")

    told = events(await driver.request("GET", url, Accept="text/event-stream"))
    assert [each["data"] for each in told] == ["a", {"b": "\n"}, "é"]
    assert not any("event" in each for each in told)
    rest = await driver.request("GET", url, Last_Event_ID=told[0]["id"])
    assert events(rest) == told[1:]
    assert events(await driver.request("GET", f"{url}?cursor={told[1]['id']}")) == told[2:]
    both = await driver.request("GET", f"{url}?cursor={told[0]['id']}", Last_Event_ID=told[1]["id"])
    assert events(both) == told[2:]


async def test_as_json_to_who_asks_for_it(driver):
    url, _ = await talking(driver, "a", "b")

    page = content(await driver.request("GET", url, Accept="application/json"))
    assert [(item["event"], item["data"]) for item in page["items"]] == [("message", "a"), ("message", "b")]
    assert page["ended"] is False
    assert page["cursor"] == page["items"][-1]["cursor"]
    rest = content(await driver.request("GET", f"{url}?cursor={page['items'][0]['cursor']}", Accept="application/json"))
    assert rest == page | {"items": page["items"][1:]}


async def test_nothing_new_is_an_empty_answer_after_the_wait(driver):
    url, _ = await talking(driver, "a")
    cursor = events(await driver.request("GET", url))[0]["id"]

    empty = await driver.request("GET", f"{url}?cursor={cursor}&wait=0")

    assert events(empty) == []
    page = content(await driver.request("GET", f"{url}?cursor={cursor}&wait=0.01", Accept="application/json"))
    assert page == {"items": [], "cursor": cursor, "ended": False}


async def test_the_end_is_told_once_and_then_the_source_is_stopped(driver):
    url, status = await talking(driver, "a")
    await driver.request("POST", status["sendEventPostUri"].replace("{eventName}", "enough"))
    await driver.ended(status["statusQueryGetUri"])

    (said,) = events(await driver.request("GET", url))
    (end,) = events(await driver.request("GET", url, Last_Event_ID=said["id"]))
    assert (end["event"], end["data"]) == ("end", {"status": "completed", "result": None})
    stopped = await driver.request("GET", url, Last_Event_ID=end["id"])
    assert (stopped.status_code, stopped.get_body()) == (204, b"")
    page = content(await driver.request("GET", f"{url}?cursor={end['id']}", Accept="application/json"))
    assert page == {"items": [], "cursor": end["id"], "ended": True}


@pytest.mark.parametrize(
    ("target", "code", "message"),
    [
        ("nobody/streams/talk", 404, "no instance 'nobody'"),
        ("one/streams/no_name", 400, "'no_name' can't name a stream"),
        ("one/streams/talk?cursor=nonsense", 400, "query parameter cursor: 'nonsense'"),
        ("one/streams/talk?wait=-1", 400, "query parameter wait"),
        ("one/streams/talk?wait=1000", 400, "query parameter wait"),
    ],
)
async def test_what_makes_no_sense_is_explained(driver, target, code, message):
    await talking(driver, "a")

    response = await driver.request("GET", f"durabletask/instances/{target}")

    assert response.status_code == code
    assert message in content(response)["message"]
