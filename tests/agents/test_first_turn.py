"""What a session shows before it has a state: while its first turn runs, or waits to run."""

import asyncio

import azure.functions as func

import perdure_functions as df
from tests.functions.conftest import app_folder, drive
from tests.functions.driving import content

__all__ = ["app_folder", "drive"]


async def test_the_very_first_turn_is_shown(drive):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(messages):
        begun.set()
        await go_on.wait()
        return f"{len(messages)} heard"

    app = df.agents.AgentFunctionApp([df.agents.as_agent(slow, name="slow")], http_auth_level=func.AuthLevel.ANONYMOUS)
    driver = await drive(app)
    path = "agents/slow/sessions/s"
    assert (await driver.request("GET", path)).status_code == 404

    async def run(correlation):
        body = {"message": "hi", "session_id": "s", "correlation_id": correlation, "wait_for_response": False}
        return await driver.request("POST", "agents/slow/run", body, content_type="application/json")

    assert (await run("one")).status_code == 202
    shown = await driver.request("GET", path)
    empty = {"agent": "slow", "session_id": "s", "turns": 0, "message_count": 0, "dropped_messages": 0, "messages": []}
    assert (shown.status_code, content(shown)) == (200, {**empty, "running_turn": "one"})
    assert (await driver.request("GET", "agents/slow/stream/s?wait=0")).status_code == 200
    await begun.wait()
    assert content(await driver.request("GET", path)) == {**empty, "running_turn": "one"}
    go_on.set()
    async with asyncio.timeout(20):
        while not (shown := content(await driver.request("GET", path)))["turns"]:
            assert shown["running_turn"] == "one"
            await asyncio.sleep(0.001)
    assert (shown["message_count"], shown["running_turn"]) == (2, None)
    go_on.clear()
    begun.clear()
    assert (await run("two")).status_code == 202
    await begun.wait()
    shown = content(await driver.request("GET", path))
    assert (shown["turns"], shown["running_turn"]) == (1, "two")
    go_on.set()
