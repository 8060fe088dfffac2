"""Rule replay-branch: what an orchestrator asks for must not depend on whether it is replaying."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.checking.body import Body, called, written
from perdure.checking.finding import Problem
from perdure.checking.values import ContextMember, DurableTask


def find_replay_branches(body: Body) -> Iterator[Problem]:
    """Find actions that are asked for only while replaying, or only while not."""
    for node in body.nodes:
        match node:
            case ast.If(test) | ast.IfExp(test) | ast.While(test) if _asks_about_replay(test, body):
                yield from (_problem(call, body) for call in _actions(node, test, body))
            case _:
                pass


def _asks_about_replay(test: ast.expr, body: Body) -> bool:
    return any(
        isinstance(each, ast.Attribute) and body.value(each) == ContextMember("is_replaying") for each in ast.walk(test)
    )


def _actions(branch: ast.AST, test: ast.expr, body: Body) -> Iterator[ast.Call]:
    skipped = set(ast.walk(test))
    live = set(body.nodes)
    for each in ast.walk(branch):
        if isinstance(each, ast.Call) and each in live and each not in skipped:
            value = body.value(each)
            if isinstance(value, DurableTask):
                yield each


def _problem(call: ast.Call, body: Body) -> Problem:
    return Problem(
        call,
        "replay-branch",
        f"{called(call)} is asked for only in some runs, and replay won't match history: do not let it depend on "
        f"{written(ast.Name(body.context, ast.Load()))}.is_replaying.",
    )
