"""Entities as apps for Durable Functions 1.x have them: functions, called and signalled."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import quote

import azure.functions as func
import pytest


@pytest.fixture
async def app(deploy):
    return await deploy("entities")


async def state(app, name, key):
    """Return the state of an entity as the app itself reads it, None if it has none."""
    response = await app.request("GET", f"states/{name}/{quote(key, safe='')}")
    return json.loads(response.get_body()) if response.status_code == 200 else None


async def becomes(app, name, key, expected):
    async with asyncio.timeout(30):
        while await state(app, name, key) != expected:
            await asyncio.sleep(0.01)


async def signal(app, key, operation, amount=None):
    query = "" if amount is None else f"?amount={amount}"
    response = await app.request("POST", f"counters/{quote(key, safe='')}/{operation}{query}")
    assert (response.status_code, response.get_body().decode()) == (202, f"signalled @counter@{key}")


async def completed(app, name, value=None, instance_id=""):
    target = f"orchestrators/{name}/{instance_id}".rstrip("/")
    return await app.completed(await app.start_with("POST", target, value))


@pytest.mark.parametrize("key", ["visits", "ann@example.com", "ünï/çödé"])
async def test_signals_from_the_client(app, key):
    assert await state(app, "counter", key) is None
    for amount in range(1, 11):
        await signal(app, key, "add", amount)
    await becomes(app, "Counter", key, 55)
    await signal(app, key, "reset")
    await signal(app, key, "add", 7)
    await becomes(app, "counter", key, 7)


async def test_signals_from_a_timer(app):
    await signal(app, "visits", "add", 5)
    await becomes(app, "counter", "visits", 5)
    await app.call("nightly_reset", Timer())
    await becomes(app, "counter", "visits", 0)


class Timer(func.TimerRequest):
    past_due = False


async def test_signals_and_calls_of_an_orchestrator(app):
    assert await completed(app, "counting", [1, 2, 3, 4], "c1") == [10, 0, None]
    assert await state(app, "counter", "c1") == 0


async def test_calls_at_once(app):
    output = await completed(app, "filling", instance_id="f")
    assert output["numbers"] == [1, 2, 2] * 3
    assert output["full"] == [False, {"tea": 2, "milk": 1}, "please"]
    assert output["empty"] == [True, {}, None]
    assert await state(app, "basket", "f-0") is None
    assert await state(app, "basket", "f-1") == {"tea": 2, "milk": 1}


async def test_operations_that_raise(app):
    told, left = await completed(app, "refused", instance_id="r")
    assert "counter r refuses" in told
    assert left == 3
    status = await app.ended(await app.start_with("POST", "orchestrators/unhandled/u"))
    assert status["runtimeStatus"] == "Failed"
    assert "counter u refuses" in status["output"]


async def test_signals_of_several_generations(app):
    assert await completed(app, "until_enough", 10, "e") == 12


async def test_the_classic_entity_with_a_class_as_its_state(app):
    assert await completed(app, "Deposit", {"to": "Ann", "amount": 100}) == 100
    assert await completed(app, "Transfer", {"from": "Ann", "to": "Bob", "amount": 30}) == [70, 30]
    told = await completed(app, "Transfer", {"from": "Ann", "to": "Bob", "amount": 71})
    assert told.startswith("refused: ")
    assert "only 70 EUR left" in told
    assert (await state(app, "account", "Ann"))["__data__"] == {"amount": 70, "currency": "EUR"}
    assert (await state(app, "ACCOUNT", "Bob"))["__data__"] == {"amount": 30, "currency": "EUR"}
    assert await state(app, "account", "bob") is None


async def test_the_management_api_tells_the_same(app):
    await signal(app, "a b/c", "add", 2)
    await becomes(app, "counter", "a b/c", 2)
    response = await app.request("GET", "durabletask/entities/Counter/a%20b%2Fc")
    assert json.loads(response.get_body()) == 2
    listed = json.loads((await app.request("GET", "durabletask/entities?fetchState=true")).get_body())
    assert [(each["entityId"], each["state"]) for each in listed] == [({"name": "counter", "key": "a b/c"}, 2)]
