"""Rule broad-except: what ends an orchestration passes through its waits as an exception that is no `Exception`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from perdure.checking.body import Body
from perdure.checking.finding import Problem
from perdure.checking.values import External

_TOO_BROAD = frozenset({"builtins.BaseException", "builtins.GeneratorExit"})


def find_broad_excepts(body: Body) -> Iterator[Problem]:
    """Find handlers around a wait that catch everything and raise nothing."""
    live = set(body.nodes)
    for node in body.nodes:
        match node:
            case ast.Try(tried, handlers) | ast.TryStar(tried, handlers) if _waits(tried, live):
                for handler in handlers:
                    if _is_broad(handler.type, body) and not _raises(handler, live):
                        yield _problem(handler, "this handler catches")
            case ast.With(items, inner) if _waits(inner, live):
                for item in items:
                    if _suppresses_all(item.context_expr, body):
                        yield _problem(item.context_expr, "this catches")
            case _:
                pass


def _waits(block: Sequence[ast.stmt], live: set[ast.AST]) -> bool:
    waits = (ast.Yield, ast.YieldFrom, ast.Await)
    return any(isinstance(each, waits) and each in live for statement in block for each in ast.walk(statement))


def _is_broad(caught: ast.expr | None, body: Body) -> bool:
    if caught is None:
        return True
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(each, body) for each in caught.elts)
    found = body.value(caught)
    return isinstance(found, External) and found.name in _TOO_BROAD


def _raises(handler: ast.ExceptHandler, live: set[ast.AST]) -> bool:
    return any(isinstance(each, ast.Raise) and each in live for each in ast.walk(handler))


def _suppresses_all(manager: ast.expr, body: Body) -> bool:
    if not isinstance(manager, ast.Call):
        return False
    found = body.value(manager.func)
    is_suppress = isinstance(found, External) and found.name == "contextlib.suppress"
    return is_suppress and any(_is_broad(each, body) for each in manager.args)


def _problem(node: ast.expr | ast.excepthandler, what: str) -> Problem:
    return Problem(
        node,
        "broad-except",
        f"{what} what ends the orchestration at a wait, too, and goes on: catch Exception, or raise it again.",
    )
