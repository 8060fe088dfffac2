"""Rule not-durable: what an orchestrator awaits or yields must be a task of its context."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from perdure.checking.body import Body, called, written
from perdure.checking.calls import catalogued
from perdure.checking.finding import Problem
from perdure.checking.syntax import is_generator
from perdure.checking.values import AppFunction, External

_RULE = "not-durable"
_DURABLE = ("builtins.", "perdure.", "perdure_functions.", "azure.durable_functions.", "durabletask.")
_NO_TASKS = (
    ast.Constant,
    ast.JoinedStr,
    ast.Dict,
    ast.Set,
    ast.DictComp,
    ast.SetComp,
    ast.Compare,
    ast.Lambda,
)
_SEVERAL = (ast.List, ast.Tuple, ast.ListComp, ast.GeneratorExp)


def find_waiting(body: Body) -> Iterator[Problem]:
    """Find waits for what is not durable."""
    for node in body.nodes:
        match node:
            case ast.Await(ast.Call() as call):
                yield from _foreign(call, f"awaiting {called(call)}", body)
            case ast.AsyncFor(iter=ast.Call() as call) | ast.comprehension(iter=ast.Call() as call, is_async=1):
                yield from _foreign(call, f"iterating over {called(call)} with async", body)
            case ast.AsyncWith(items=items):
                for item in items:
                    if isinstance(item.context_expr, ast.Call):
                        call = item.context_expr
                        yield from _foreign(call, f"entering {called(call)} with async", body)
            case ast.Yield() if body.is_orchestrator and body.is_async:
                yield Problem(
                    node,
                    _RULE,
                    "yield makes an async generator of an `async def` orchestrator, and that can't be run: use await.",
                )
            case ast.Yield(value) if body.is_driven:
                yield from _yielded(node, value, body)
            case _:
                pass


def _foreign(call: ast.Call, what: str, body: Body) -> Iterator[Problem]:
    """Find calls of what is not the app's own. What is given the context, or tasks, may well wait for these alone."""
    found = body.value(call.func)
    if not isinstance(found, External) or catalogued(call, body) is not None:
        return
    package = found.name.partition(".")[0]
    if package in sys.stdlib_module_names or found.name.startswith(_DURABLE):
        return
    if body.passes_context(call) or any(body.mentions_tasks(each) for each in (*call.args, *call.keywords)):
        return
    yield Problem(
        call,
        _RULE,
        f"{what} is not durable, and each replay does it again: do it in an activity, and wait for "
        f"{body.context}.call_activity(...).",
    )


def _yielded(node: ast.Yield, value: ast.expr | None, body: Body) -> Iterator[Problem]:
    context = body.context
    match value:
        case None:
            yield Problem(node, _RULE, f"a bare yield waits for nothing durable: yield a task of {context}'s.")
        case _ if isinstance(value, _SEVERAL):
            yield Problem(node, _RULE, f"an orchestrator can't yield several at once: use {context}.task_all([...]).")
        case _ if isinstance(value, _NO_TASKS):
            yield Problem(node, _RULE, f"{written(value)} is no durable task: yield what {context}'s methods return.")
        case ast.Call():
            yield from _yielded_call(value, body)
        case _:
            pass


def _yielded_call(call: ast.Call, body: Body) -> Iterator[Problem]:
    found = body.value(call.func)
    if not isinstance(found, AppFunction):
        yield from _foreign(call, f"yielding {called(call)}", body)
    elif not body.roles.is_plain(found.node):
        return
    elif isinstance(found.node, ast.AsyncFunctionDef):
        yield Problem(
            call,
            _RULE,
            f"{called(call)} is a coroutine, which a generator can't wait for: make {found.node.name} a generator and "
            f"use `yield from`, or make the orchestrator `async def`.",
        )
    elif is_generator(found.node) and not found.node.decorator_list:
        yield Problem(call, _RULE, f"{called(call)} is a generator, and no durable task: use `yield from`.")
