"""The functions that the Functions host gets besides the user's own."""

from __future__ import annotations

import asyncio
import base64
import json

import azure.functions as func
import pytest

import perdure_functions as df
from perdure.core.codec import encode_message
from perdure.core.messages import RaiseEvent
from perdure.engine.suspects import TRIALS
from tests.functions.conftest import write_host_json
from tests.functions.driving import content


@pytest.fixture
def app(app_folder):
    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.activity_trigger("value")
    def double(value):
        return value * 2

    @app.orchestration_trigger("context")
    def fan(context):
        return (yield context.task_all([context.call_activity(double, number) for number in range(10)]))

    @app.orchestration_trigger("context")
    def wait(context):
        return (yield context.wait_for_external_event("go"))

    return app


def bindings(app):
    return {
        function.get_function_name(): [json.loads(raw) for raw in function.get_raw_bindings()]
        for function in app.get_functions()
    }


def test_the_functions(app):
    queue = {"direction": "IN", "type": "queueTrigger", "name": "msg", "connection": "AzureWebJobsStorage"}
    http = {"direction": "IN", "type": "httpTrigger", "name": "req", "authLevel": "FUNCTION"}
    returned = {"direction": "OUT", "type": "http", "name": "$return"}
    start, instances = "orchestrators/{functionName}/{instanceId?}", "instances/{instanceId?}"
    operations = "instances/{instanceId}/{operation}/{eventName?}"
    assert bindings(app) == {
        "perdure-control": [{**queue, "queueName": "testhub-control"}],
        "perdure-control-poison": [{**queue, "queueName": "testhub-control-poison"}],
        "perdure-workitems": [{**queue, "queueName": "testhub-workitems"}],
        "perdure-workitems-poison": [{**queue, "queueName": "testhub-workitems-poison"}],
        "perdure-http-start": [{**http, "methods": ["POST"], "route": f"durabletask/{start}"}, returned],
        "perdure-http-instances": [
            {**http, "methods": ["GET", "DELETE"], "route": f"durabletask/{instances}"},
            returned,
        ],
        "perdure-http-operations": [{**http, "methods": ["POST"], "route": f"durabletask/{operations}"}, returned],
        "perdure-http-stream": [
            {**http, "methods": ["GET"], "route": "durabletask/instances/{instanceId}/streams/{streamName}"},
            returned,
        ],
        "perdure-http-entities": [
            {**http, "methods": ["GET"], "route": "durabletask/entities/{entityName?}"},
            returned,
        ],
        "perdure-http-entity": [
            {**http, "methods": ["GET", "POST", "DELETE"], "route": "durabletask/entities/{entityName}/{entityKey}"},
            returned,
        ],
        "perdure-http-poison": [
            {**http, "methods": ["GET", "DELETE"], "route": "durabletask/poison/{messageId?}"},
            returned,
        ],
        "perdure-http-poison-retry": [
            {**http, "methods": ["POST"], "route": "durabletask/poison/{messageId}/retry"},
            returned,
        ],
        "perdure-http-openapi": [{**http, "methods": ["GET"], "route": "durabletask/openapi.json"}, returned],
    }


def test_their_names_are_known_to_the_host(app):
    assert set(bindings(app)) == app.internal_functions


def test_settings_reach_the_bindings(app, app_folder):
    provider = {"connectionName": "Elsewhere", "partitionCount": 3}
    write_host_json(app_folder, hubName="MyHub", storageProvider=provider, httpManagementAuthLevel="Anonymous")
    found = bindings(app)
    queues = {name: each["queueName"] for name, (each, *_) in found.items() if each["type"] == "queueTrigger"}
    assert queues == {
        "perdure-control": "myhub-control",
        "perdure-control-poison": "myhub-control-poison",
        "perdure-control-1": "myhub-control-1",
        "perdure-control-1-poison": "myhub-control-1-poison",
        "perdure-control-2": "myhub-control-2",
        "perdure-control-2-poison": "myhub-control-2-poison",
        "perdure-workitems": "myhub-workitems",
        "perdure-workitems-poison": "myhub-workitems-poison",
    }
    assert {each["connection"] for (each, *_) in found.values() if "connection" in each} == {"Elsewhere"}
    assert {each["authLevel"] for (each, *_) in found.values() if "authLevel" in each} == {"ANONYMOUS"}


def test_an_app_that_runs_nothing_has_no_queue_functions(app_folder):
    """It would take messages that are meant for the app with the functions."""
    assert set(bindings(df.DFApp())) == {
        "perdure-http-start",
        "perdure-http-instances",
        "perdure-http-operations",
        "perdure-http-stream",
        "perdure-http-entities",
        "perdure-http-entity",
        "perdure-http-poison",
        "perdure-http-poison-retry",
        "perdure-http-openapi",
    }


async def test_such_an_app_is_a_client_only(app_folder, drive):
    driver = await drive(df.DFApp())
    await driver.app.on_host_start()
    response = await driver.request("POST", "durabletask/orchestrators/anything/one")
    assert response.status_code == 202
    assert content(await driver.request("GET", "durabletask/instances/one"))["runtimeStatus"] == "Pending"


# ---- messages ----------------------------------------------------------------------------------------------------


async def test_activities_and_their_results_go_through_the_queues(app, drive):
    driver = await drive(app)
    response = await driver.request("POST", "durabletask/orchestrators/fan?timeout=20")
    assert content(response) == [number * 2 for number in range(10)]
    assert {"perdure-control", "perdure-workitems"} == set(driver.delivered)


async def test_a_start_message_from_elsewhere(app, drive, app_folder):
    driver = await drive(app)
    await driver.app.on_host_start()
    write_host_json(app_folder, hubName="TestHub")
    distant = await drive(df.DFApp())  # the same hub, and no worker in this one
    response = await distant.request("POST", "durabletask/orchestrators/fan/one?timeout=20")
    assert content(response) == [number * 2 for number in range(10)]


@pytest.mark.parametrize("spread", [1, 3])
async def test_every_control_queue_is_served(app, app_folder, drive, spread):
    write_host_json(app_folder, hubName="TestHub", storageProvider={"controlQueueCount": spread})
    driver = await drive(app)
    urls = []
    for number in range(12):
        response = await driver.request("POST", f"durabletask/orchestrators/wait/{number}")
        urls.append(content(response)["statusQueryGetUri"])
        await driver.request("POST", f"durabletask/instances/{number}/raiseEvent/go", number)
    assert [(await driver.ended(url))["output"] for url in urls] == list(range(12))
    assert len({name for name in driver.delivered if name.startswith("perdure-control")}) == spread


async def test_a_body_that_the_host_left_in_base64(app, drive):
    """With `messageEncoding` none the host hands over what is in the queue as it is."""
    driver = await drive(app)
    url = content(await driver.request("POST", "durabletask/orchestrators/wait/one"))["statusQueryGetUri"]
    body = base64.b64encode(encode_message(RaiseEvent(to="one", id="m1", name="go", data="7")).encode())
    await driver.call("perdure-control", func.QueueMessage(id="q1", body=body))
    assert (await driver.ended(url))["output"] == 7


async def parked_message(driver):
    """Wait for a message that an operator should look at, and return it."""
    async with asyncio.timeout(20):
        while True:
            found = content(await driver.request("GET", "durabletask/poison"))
            if found:
                return content(await driver.request("GET", f"durabletask/poison/{found[0]['id']}"))
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("body", ['["nonsense"]', "", "{}", "text", "bm9uc2Vuc2U=", "\u4e2d"])
async def test_a_message_that_is_none_of_ours_is_delivered_again_and_parked(app, drive, body):
    driver = await drive(app)
    await app.on_host_start()
    await driver.queues.send("testhub-control", body)
    parked = await parked_message(driver)
    assert (parked["kind"], parked["body"]) == ("Unreadable", body)
    assert driver.delivered == ["perdure-control"] * 5 + ["perdure-control-poison"]


async def test_a_work_item_that_survives_no_trial_fails_its_activity(app, drive):
    begun = asyncio.Event()

    @app.orchestration_trigger("context")
    def one(context):
        return (yield context.call_activity("ends", placement="queue"))

    @app.activity_trigger("nothing")
    async def ends(nothing):
        begun.set()
        await asyncio.Event().wait()

    driver = await drive(app, without=("perdure-workitems",))
    url = content(await driver.request("POST", "durabletask/orchestrators/one"))["statusQueryGetUri"]
    async with asyncio.timeout(20):
        while not (messages := await driver.queues.receive("testhub-workitems", count=1, invisibility=30)):
            await driver.queues.wait_for_message("testhub-workitems", 1)
    poisoned = func.QueueMessage(id="q1", body=messages[0].body)
    for _ in range(TRIALS):
        begun.clear()
        trial = asyncio.create_task(driver.call("perdure-workitems-poison", poisoned))
        await begun.wait()
        trial.cancel()
        await asyncio.wait({trial})
    await driver.call("perdure-workitems-poison", poisoned)
    status = await driver.ended(url)
    assert status["runtimeStatus"] == "Failed"
    assert "activity 'ends' was begun 5 times and never came to an end" in status["output"]
