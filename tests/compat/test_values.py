"""Values go through everything as they are; the context tells what it told."""

from __future__ import annotations

import json

import pytest

from tests.functions.driving import content

FALSY = [0, "", False, [], {}, None, 0.0]
OTHERS = [True, 1.5, "text", [1, [2]], {"a": None, "b": {"c": []}}, "42", "null", '{"a": 1}', "ä€😀", 2**60]


@pytest.fixture
async def app(deploy):
    return await deploy("values")


def text(value):
    """JSON tells 0 from False, which Python's == does not."""
    return json.dumps(value, sort_keys=True)


async def test_values_are_kept_as_they_are(app):
    urls = [(value, await app.start_with("POST", "orchestrators/everywhere", value)) for value in FALSY + OTHERS]
    for value, url in urls:
        status = await app.until(url, lambda status: status["runtimeStatus"] == "Running")
        assert text(status["customStatus"]) == text(value)
        sent = await app.request("POST", f"events/{status['instanceId']}/value", value)
        assert sent.status_code == 200
    names = ("input", "event", "by_name", "by_function", "retried", "child", "status")
    for value, url in urls:
        expected = dict.fromkeys(names, value) | {"together": [value, value]}
        assert text(await app.completed(url)) == text(expected)


@pytest.mark.parametrize("value", [*FALSY, "text"])
async def test_orchestrators_that_are_no_generators(app, value):
    url = await app.start_with("POST", "orchestrators/echo", value)
    assert text(await app.completed(url)) == text(value)


async def test_an_orchestrator_that_returns_nothing(app):
    assert await app.completed(await app.start_with("POST", "orchestrators/nothing")) is None


async def test_an_orchestrator_that_raises_at_once(app):
    status = await app.ended(await app.start_with("POST", "orchestrators/refuses"))
    assert status["runtimeStatus"] == "Failed"
    assert "not today" in status["output"]


@pytest.mark.parametrize("value", [*FALSY, "text"])
async def test_values_reach_the_next_generation(app, value):
    url = await app.start_with("POST", "orchestrators/again", {"first": value})
    assert text(await app.completed(url)) == text(value)


async def test_inputs_may_be_left_out(app):
    assert await app.completed(await app.start_with("POST", "orchestrators/input_is_optional")) == ["default", None]


async def test_classes_that_write_themselves(app):
    assert await app.completed(await app.start_with("POST", "orchestrators/pay")) == "Money 42 EUR"


async def test_what_the_context_tells(app):
    url = await app.start_with("POST", "orchestrators/told")
    output = await app.completed(url)
    assert output == {
        "instance_id": (await app.status(url))["instanceId"],
        "parent": None,
        "child": {"parent": output["instance_id"], "version": None},
        "version": None,
        "aware": True,
        "ids": [3, [36, 36, 36]],
        "kinds": ["ORCHESTRATOR_STARTED", "EXECUTION_STARTED", "TASK_SCHEDULED", "ORCHESTRATOR_STARTED"],
        "custom_status": {"step": 1},
        "extra": [],
        "will_continue_as_new": False,
    }


async def test_the_version_on_start(app):
    url = content(await app.request("POST", "versioned/two_versions?version=1.5"))["statusQueryGetUri"]
    assert await app.completed(url) == ["1.5", None, "0.9"]


async def test_the_default_version(deploy, monkeypatch):
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__durableTask__defaultVersion", "2.0")
    app = await deploy("values")
    url = await app.start_with("POST", "orchestrators/two_versions")
    assert await app.completed(url) == ["2.0", "2.0", "0.9"]
