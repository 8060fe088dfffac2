"""Exceptions: how they reach the orchestrator and its status, and how they are retried."""

from __future__ import annotations

import pytest


@pytest.fixture
async def app(deploy):
    return await deploy("failures")


async def failure(app, name):
    status = await app.ended(await app.start_with("POST", f"orchestrators/{name}"))
    assert status["runtimeStatus"] == "Failed"
    return status["output"]


async def test_exceptions_are_caught_with_their_texts(app):
    first, child, second = await app.completed(await app.start_with("POST", "orchestrators/caught"))
    assert first == "activity 'fail' failed: function_app.OutOfStock: first"
    assert "sub-orchestration 'failing_child' failed" in child
    assert "OutOfStock: the child's activity" in child
    assert "OutOfStock: second" in second


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("caught_and_raised", ["activity 'fail' failed", "OutOfStock: the origin"]),
        ("wrapped", ["ValueError: could not: ", "OutOfStock: the origin"]),
        ("unhandled", ["failing_child", "activity 'fail' failed", "OutOfStock: the child's activity"]),
    ],
)
async def test_what_is_not_caught_is_the_output(app, name, texts):
    output = await failure(app, name)
    assert [text for text in texts if text not in output] == []


async def test_an_unknown_activity_fails_once_no_deployment_brings_it(deploy):
    app = await deploy("failures", AzureFunctionsJobHost__extensions__durableTask__unknownFunctionTimeout="0")
    assert "no activity function is named 'no_such_activity'" in await failure(app, "unknown_name")


async def test_retries(app):
    url = await app.start_with("POST", "orchestrators/retried")
    output = await app.completed(url)
    assert output == {
        "activity": 3,
        "child": [2, True],
        "given_up": "activity 'flaky' failed: RuntimeError: attempt 2",
    }


async def test_a_task_that_fails_first(app):
    won, is_error, text, completed, state = await app.completed(
        await app.start_with("POST", "orchestrators/first_of_two")
    )
    assert (won, is_error, completed, state) == (True, True, True, "FAILED")
    assert "OutOfStock: the first" in text
