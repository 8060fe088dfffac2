"""The rules of the real host find what breaks them."""

import types

import azure.functions as func
import pytest

from tests.functions.host_rules import broken_by, broken_by_message, names_of_apps, names_taken_twice

QUEUE = '{"type": "queueTrigger", "name": "msg", "queueName": "q"}'
HTTP = '{"type": "httpTrigger", "name": "req", "route": "a/b"}'
RETURNED = '{"type": "http", "name": "$return"}'


async def on_message(msg) -> None: ...


async def answer(req, context): ...


class Callable:
    def __call__(self, msg): ...


def test_functions_that_keep_the_rules():
    assert broken_by("perdure-control-1", [QUEUE], on_message, ours=True) == []
    assert broken_by("Answer_2", [HTTP, RETURNED], answer, ours=False) == []


@pytest.mark.parametrize(
    ("name", "bindings", "function", "broken"),
    [
        ("Perdure", [QUEUE], on_message, "function name Perdure"),
        ("2nd", [QUEUE], on_message, "function name 2nd"),
        ("x" * 129, [QUEUE], on_message, f"function name {'x' * 129}"),
        ("a", [QUEUE.replace("msg", "the_msg")], lambda the_msg: 1, "binding name the_msg"),
        ("a", [HTTP.replace("a/b", "/Admin/b")], lambda req: 1, "route /Admin/b"),
        ("a", [QUEUE], lambda other: 1, "parameters {'other'}, but bindings {'msg'}"),
        ("a", [QUEUE], lambda msg, context, more: 1, "but bindings {'msg'}"),
    ],
)
def test_functions_that_break_one(name, bindings, function, broken):
    (found,) = broken_by(name, bindings, function, ours=True)
    assert broken in found


def test_objects_that_are_called_and_queue_functions_that_return():
    def returns(msg) -> str: ...

    assert "is no function" in broken_by("a", [QUEUE], Callable(), ours=True)[0]
    assert broken_by("a", [QUEUE], returns, ours=True) == [f"a queue function that returns {str}"]


def test_names_of_functions_and_apps():
    assert names_taken_twice(["one", "two", "One"]) == {"one", "One"}
    module = types.ModuleType("function_app")
    module.app = module.again = func.FunctionApp()
    assert names_of_apps(module) == ["app", "again"]


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        ("[1]", []),
        ("@text", []),
        ('{"id": 1}', ["a message that is a JSON object"]),
        ("x" * 49_153, ["a message of 49153 bytes"]),
    ],
)
def test_messages(body, broken):
    assert broken_by_message(body) == broken
