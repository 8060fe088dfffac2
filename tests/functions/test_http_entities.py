"""The management API's routes for entities."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import azure.functions as func
import httpx
import pytest

import perdure_functions as df
from perdure.local.admin import host_application
from perdure.local.catalog import read_functions
from perdure.local.host import FunctionsHost
from perdure.local.options import HostOptions
from perdure.local.settings import HostJson, LocalHostOptions
from tests.functions.driving import ORIGIN, content

MEBIBYTE = "x" * (1024 * 1024)
AWKWARD = ["a/b", "a b?c#d", "%2F", "%2f/", "50%", "ünï/çödé", "🚀", "a'\"b\\c", "@a@b", "a:b&d=e+f", "a", "A"]


def new_app():
    app = df.DFApp()

    @app.entity_trigger("context", entity_name="Counter")
    def count(context):
        if context.operation_name == "add":
            context.set_state(context.get_state(lambda: 0) + context.get_input())
        elif context.operation_name == "reset":
            context.destruct_on_exit()
        else:
            context.set_state([context.operation_name, context.get_input()])

    @app.entity_trigger("context", entity_name="ünï/çödé %2F+name")
    class Last(df.DurableEntity):
        state: list[object]

        def say(self, text: str) -> None:
            self.state.append(text)

        def delete(self) -> None:
            self.state = ["deleted"]

    @app.orchestration_trigger("context")
    def echo(context):
        return context.get_input()

    return app


@pytest.fixture
async def driver(app_folder, drive):
    return await drive(new_app())


def target(name, key):
    return f"durabletask/entities/{quote(name, safe='')}/{quote(key, safe='')}"


async def state(driver, name, key, condition=lambda state: state is not None):
    """Wait until the state of an entity meets a condition; None stands for none."""
    async with asyncio.timeout(30):
        while True:
            response = await driver.request("GET", target(name, key))
            found = content(response) if response.status_code == 200 else None
            if condition(found):
                return found
            await asyncio.sleep(0.01)


async def complaint(driver, *request, code, **more):
    response = await driver.request(*request, **more)
    assert response.status_code == code
    return content(response)["message"]


# ---- one entity --------------------------------------------------------------------------------------------------


async def test_signals_and_the_state(driver):
    for amount in (1, 2, 3):
        response = await driver.request("POST", "durabletask/entities/Counter/a?op=add", amount)
        assert (response.status_code, response.get_body()) == (202, b"")
    assert await state(driver, "counter", "a", lambda state: state == 6) == 6
    assert await complaint(driver, "GET", "durabletask/entities/counter/b", code=404) == (
        "entity '@counter@b' has no state"
    )
    await driver.request("POST", "durabletask/entities/COUNTER/a?OP=reset")
    assert await state(driver, "counter", "a", lambda state: state is None) is None


@pytest.mark.parametrize("value", [None, 0, False, "", [], {}, "text", MEBIBYTE])
async def test_bodies_are_inputs_and_states_json(driver, value):
    await driver.request("POST", "durabletask/entities/counter/a?op=keep", value)
    assert await state(driver, "counter", "a") == ["keep", value]


async def test_an_empty_body_is_no_input(driver):
    await driver.request("POST", "durabletask/entities/counter/a?op=keep", raw=b" \n")
    assert await state(driver, "counter", "a") == ["keep", None]


@pytest.mark.parametrize("body", [b"{", b"NaN", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_json(driver, body):
    told = await complaint(driver, "POST", "durabletask/entities/counter/a?op=add", raw=body, code=400)
    assert "the body is no JSON" in told


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "query parameter op is required"),
        ("op=", "query parameter op is required"),
        ("op=add&signalTime=noon", "query parameter signalTime: 'noon' can't be used"),
        (f"op={'x' * 1_001}", "query parameter op"),
    ],
)
async def test_signals_that_make_no_sense(driver, query, told):
    assert (await complaint(driver, "POST", f"durabletask/entities/counter/a?{query}", code=400)).startswith(told)
    assert (await driver.request("GET", "durabletask/entities/counter/a")).status_code == 404


async def test_a_signal_for_later(driver):
    due = datetime.now(UTC) + timedelta(hours=1)
    later = f"durabletask/entities/counter/a?op=add&signalTime={quote(due.isoformat())}"
    assert (await driver.request("POST", later, 100)).status_code == 202
    past = (due - timedelta(hours=2)).isoformat()
    await driver.request("POST", f"durabletask/entities/counter/a?op=add&signalTime={quote(past)}", 1)
    assert await state(driver, "counter", "a") == 1


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_an_unknown_entity(driver, method):
    told = await complaint(driver, method, "durabletask/entities/conter/a?op=add", code=404)
    assert told.startswith("no entity function is named 'conter'; this app has: 'Counter'")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(("name", "key"), [("a@b", "c"), ("counter", "x" * 250)])
async def test_ids_that_are_none(driver, method, name, key):
    assert "entity" in await complaint(driver, method, f"{target(name, key)}?op=add", code=400)


async def test_deleting(driver):
    await driver.request("POST", "durabletask/entities/counter/a?op=add", 1)
    await state(driver, "counter", "a")
    response = await driver.request("DELETE", "durabletask/entities/counter/a")
    assert (response.status_code, response.get_body()) == (202, b"")
    assert await state(driver, "counter", "a", lambda state: state is None) is None


async def test_classes_delete_themselves(driver):
    name = "ünï/çödé %2F+name"
    await driver.request("POST", f"{target(name, 'a')}?op=say", "hello")
    assert await state(driver, name, "a") == ["hello"]
    await driver.request("DELETE", target(name, "a"))
    assert await state(driver, name, "a", lambda state: state != ["hello"]) == ["deleted"]


# ---- awkward names and keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cOUNTER", "ÜNÏ/çödé %2F+name"])
@pytest.mark.parametrize("key", AWKWARD)
async def test_awkward_names_and_keys(driver, name, key):
    await driver.request("POST", f"{target(name, key)}?op=say", key)
    assert key in await state(driver, name, key)
    other = [each for each in AWKWARD if each != key]
    codes = [(await driver.request("GET", target(name, each))).status_code for each in other]
    assert set(codes) == {404}
    listed = content(await driver.request("GET", f"durabletask/entities/{quote(name, safe='')}"))
    assert [(each["entityId"]["name"].lower(), each["entityId"]["key"]) for each in listed] == [(name.lower(), key)]
    assert (await driver.request("DELETE", target(name, key))).status_code == 202
    await state(driver, name, key, lambda state: state in (None, ["deleted"]))


@pytest.mark.parametrize("key", ["a/b", "a%2Fb", "a%2fb/c", "%252F"])
@pytest.mark.parametrize("name", ["counter", "ünï/çödé %2F+name"])
async def test_slashes_that_the_functions_host_leaves_encoded(driver, name, key):
    """It decodes route parameters, but for `%2F`."""
    await driver.request("POST", f"{target(name, key)}?op=say", key)
    await state(driver, name, key)
    params = {"entityName": name.replace("/", "%2F"), "entityKey": key.replace("/", "%2f")}
    url = f"{ORIGIN}/api/{target(name, key)}"
    request = func.HttpRequest("GET", url, route_params=params, body=b"")
    assert key in content(await driver.call("perdure-http-entity", request))


async def test_the_address_of_the_durable_task_extension(app_folder):
    """The local host's other address takes the same ids."""
    app, key = new_app(), "@ünï/%2F c?"
    functions = read_functions(app, app_folder, os.environ)
    host = FunctionsHost(app, functions, HostJson(), HostOptions(app_dir=app_folder, drain_timeout=2), os.environ)
    transport = httpx.ASGITransport(host_application(host, functions, "1.2.3", LocalHostOptions()))
    await host.start()
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7071") as client:
        urls = [f"/{root}/{target('counter', key)}" for root in ("runtime/webhooks", "api")]
        assert (await client.post(f"{urls[0]}?op=add", json=1)).status_code == 202
        assert (await client.post(f"{urls[1]}?op=add", json=2)).status_code == 202
        async with asyncio.timeout(30):
            while [(await client.get(url)).text for url in urls] != ["3", "3"]:
                await asyncio.sleep(0.01)
        listed = await client.get("/runtime/webhooks/durabletask/entities/counter")
        assert listed.json()[0]["entityId"] == {"name": "Counter", "key": key}
    await host.stop()
    await host.close()


# ---- many entities -----------------------------------------------------------------------------------------------


async def filled(driver, **keys):
    """Bring entities into being, one after the other; return when the first of the last name was."""
    for name, each in keys.items():
        for key in each:
            await driver.request("POST", f"{target(name, key)}?op=add", 1)
            await state(driver, name, key)


async def ids(driver, path):
    listed = content(await driver.request("GET", f"durabletask/entities{path}"))
    return [each["entityId"]["key"] for each in listed]


async def test_listing(driver):
    before = datetime.now(UTC)
    await filled(driver, Counter="ab")
    name = "ünï/çödé %2F+name"
    await driver.request("POST", f"{target(name, 'c')}?op=say", "hello")
    await state(driver, name, "c")
    listed = content(await driver.request("GET", "durabletask/entities"))
    assert [each["entityId"] for each in listed] == [
        {"name": "Counter", "key": "a"},
        {"name": "Counter", "key": "b"},
        {"name": name, "key": "c"},
    ]
    assert all(set(each) == {"entityId", "lastOperationTime"} for each in listed)
    times = [datetime.fromisoformat(each["lastOperationTime"]) for each in listed]
    assert before <= times[0] <= times[1] <= times[2] <= datetime.now(UTC)
    shown = content(await driver.request("GET", "durabletask/entities?fetchState=true"))
    assert [each["state"] for each in shown] == [1, 1, ["hello"]]


async def test_entities_without_a_state_are_not_listed(driver):
    await filled(driver, counter="ab")
    await driver.request("DELETE", target("counter", "a"))
    await state(driver, "counter", "a", lambda state: state is None)
    assert await ids(driver, "") == ["b"]


async def test_filters(driver):
    await filled(driver, counter=["a1", "a2"])
    between = datetime.now(UTC)
    await filled(driver, counter=["b1"])
    moment = quote(between.isoformat())
    assert await ids(driver, "/COUNTER") == ["a1", "a2", "b1"]
    assert await ids(driver, "/count") == []
    assert await ids(driver, "/counter?keyPrefix=a") == ["a1", "a2"]
    assert await ids(driver, f"/counter?lastOperationTimeFrom={moment}") == ["b1"]
    assert await ids(driver, f"?lastOperationTimeTo={moment}") == ["a1", "a2"]
    told = await complaint(driver, "GET", "durabletask/entities?keyPrefix=a", code=400)
    assert told == "a prefix of keys needs the name of the entities"


@pytest.mark.parametrize(
    "query", ["top=0", "top=1001", "fetchState=perhaps", "lastOperationTimeFrom=noon", "lastOperationTimeTo=2026-13-01"]
)
async def test_filters_that_make_no_sense(driver, query):
    message = await complaint(driver, "GET", f"durabletask/entities?{query}", code=400)
    assert message.startswith(f"query parameter {query.partition('=')[0]}: ")


async def test_pages(driver):
    await filled(driver, counter="abcde")
    found, headers = [], {}
    while True:
        response = await driver.request("GET", "durabletask/entities/counter?top=2", **headers)
        found.append([each["entityId"]["key"] for each in content(response)])
        token = response.headers.get("x-ms-continuation-token")
        if token is None:
            break
        headers = {"x_ms_continuation_token": token}
    assert found == [["a", "b"], ["c", "d"], ["e"]]


async def test_tokens_belong_to_their_conditions(driver):
    await filled(driver, counter="abc")
    page = await driver.request("GET", "durabletask/entities/counter?top=1")
    token = {"x_ms_continuation_token": page.headers["x-ms-continuation-token"]}
    more = await driver.request("GET", "durabletask/entities/Counter?top=5&fetchState=true", **token)
    assert [each["entityId"]["key"] for each in content(more)] == ["b", "c"]
    for path in ("entities", "entities/other", "entities/counter?keyPrefix=a", "instances"):
        told = await complaint(driver, "GET", f"durabletask/{path}", code=400, **token)
        assert "no token of a page before with the same conditions" in told


async def test_only_hubs_that_the_app_names(driver):
    for method, path in (("GET", ""), ("GET", "/counter/a"), ("POST", "/counter/a"), ("DELETE", "/counter/a")):
        told = await complaint(driver, method, f"durabletask/entities{path}?op=add&taskHub=Other", code=400)
        assert told == "this app does not manage task hub 'Other'"


# ---- entities are no instances -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["raiseEvent/go", "terminate", "suspend", "resume", "rewind", "restart", ""])
async def test_instance_routes_do_not_know_entities(driver, command):
    await driver.request("POST", "durabletask/entities/counter/a?op=add", 1)
    await state(driver, "counter", "a")
    path = f"durabletask/instances/%40counter%40a{command and '/'}{command}"
    for method in ["POST"] if command else ["GET", "DELETE"]:
        assert "there is no instance '@counter@a'" in await complaint(driver, method, path, code=404)
    assert content(await driver.request("GET", "durabletask/instances")) == []
    told = await complaint(driver, "DELETE", "durabletask/instances?createdTimeFrom=2020-01-01", code=404)
    assert told == "there are no such instances"
    assert await state(driver, "counter", "a") == 1


async def test_nothing_is_started_under_the_id_of_an_entity(driver):
    told = await complaint(driver, "POST", "durabletask/orchestrators/echo/@counter@a", code=400)
    assert told.startswith("'@counter@a' is the id of an entity: an orchestration can't have it")
