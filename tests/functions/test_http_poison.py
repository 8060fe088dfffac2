"""The management API's routes for messages that could not be processed."""

from __future__ import annotations

import pytest

import perdure_functions as df
from perdure.core.codec import encode_message
from perdure.core.messages import RaiseEvent
from perdure_functions.http_api.paging import CONTINUATION
from tests.functions.driving import content


@pytest.fixture
async def driver(app_folder, drive):
    app = df.DFApp()

    @app.orchestration_trigger("context")
    def waits(context):
        return (yield context.wait_for_external_event("go"))

    return await drive(app)


async def park(driver, instance_id):
    """Start an instance that waits, and park the event that it waits for; return the URL of its status."""
    response = await driver.request("POST", f"durabletask/orchestrators/waits/{instance_id}")
    worker = await driver.app.runtime.worker()
    message = RaiseEvent(to=instance_id, id="bad", name="go", data="7")
    await worker.handle_poisoned_control(encode_message(message), f"q-{instance_id}")
    return content(response)["statusQueryGetUri"]


async def test_listed_shown_and_sent_again(driver):
    url = await park(driver, "one")
    (listed,) = content(await driver.request("GET", "durabletask/poison"))
    assert (listed["kind"], listed["instanceId"], listed["queue"]) == ("RaiseEvent", "one", "testhub-control")
    assert "could not be processed in 5 deliveries" in listed["reason"]
    target = f"durabletask/poison/{listed['id']}"
    shown = content(await driver.request("GET", target))
    assert shown == listed | {"body": '["event","one","bad",0,"go","7"]'}
    assert listed["id"] in content(await driver.request("GET", url))["reason"]

    assert (await driver.request("POST", f"{target}/retry")).status_code == 202
    assert (await driver.ended(url))["output"] == 7
    assert content(await driver.request("GET", "durabletask/poison")) == []


async def test_discarded(driver):
    url = await park(driver, "one")
    (listed,) = content(await driver.request("GET", "durabletask/poison"))
    response = await driver.request("DELETE", f"durabletask/poison/{listed['id']}")
    assert (response.status_code, content(response)) == (200, listed)
    assert content(await driver.request("GET", "durabletask/poison")) == []
    assert "reason" not in content(await driver.request("GET", url))


async def test_pages_and_instances(driver):
    for name in ("one", "two", "three"):
        await park(driver, name)
    first = await driver.request("GET", "durabletask/poison?top=2")
    token = {CONTINUATION: first.headers[CONTINUATION]}
    second = await driver.request("GET", "durabletask/poison?top=2", **token)
    found = content(first) + content(second)
    assert {each["instanceId"] for each in found} == {"one", "two", "three"}
    assert CONTINUATION not in second.headers
    (own,) = content(await driver.request("GET", "durabletask/poison?instanceId=two"))
    assert own["instanceId"] == "two"


@pytest.mark.parametrize("message_id", ["0123456789abcdef", "nothing", "%2e%2e", "a" * 500, "ü"])
async def test_messages_that_are_not_there(driver, message_id):
    target = f"durabletask/poison/{message_id}"
    for method, path in (("GET", target), ("DELETE", target), ("POST", f"{target}/retry")):
        response = await driver.request(method, path)
        assert response.status_code == 404
        assert "has no poison message" in content(response)["message"]


async def test_all_at_once_can_be_discarded_by_nobody(driver):
    await park(driver, "one")
    assert (await driver.request("DELETE", "durabletask/poison")).status_code == 404
    assert len(content(await driver.request("GET", "durabletask/poison"))) == 1


async def test_an_instance_that_is_damaged_is_no_bad_request(driver):
    await park(driver, "one")
    worker = await driver.app.runtime.worker()
    row = await worker.storage.read("one")
    row.head = b"\x01garbage"
    await worker.storage.replace(row)
    response = await driver.request("GET", "durabletask/instances/one?showHistory=true")
    assert response.status_code == 500
    assert "instance 'one': the head of a row can't be read" in content(response)["message"]
    assert (await driver.request("GET", "durabletask/instances/one")).status_code == 202
