"""Rule set-order: sets of text have another order in each process."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.checking.body import Body, called, written
from perdure.checking.finding import Problem
from perdure.checking.values import External, SetOf

_KEEP_ORDER = frozenset(f"builtins.{name}" for name in ("list", "tuple", "enumerate", "iter", "next", "map", "zip"))
_IGNORE_ORDER = frozenset(
    f"builtins.{name}" for name in ("sorted", "set", "frozenset", "sum", "min", "max", "any", "all", "len")
)


def find_set_order(body: Body) -> Iterator[Problem]:
    """Find places where the order of a set's elements counts."""
    for node in body.nodes:
        for ordered in _ordered(node, body):
            if isinstance(body.value(ordered), SetOf):
                what = called(ordered) if isinstance(ordered, ast.Call) else written(ordered)
                yield Problem(
                    ordered,
                    "set-order",
                    f"the order of the set {what} differs between processes: use sorted(...), or a list.",
                )


def _ordered(node: ast.AST, body: Body) -> Iterator[ast.expr]:
    match node:
        case ast.For(iter=iterated):
            yield iterated
        case ast.ListComp(_, generators) | ast.DictComp(_, _, generators) | ast.GeneratorExp(_, generators):
            if not _is_sorted(node, body):
                yield from (each.iter for each in generators)
        case ast.Starred(value):
            if isinstance(body.parent(node), ast.List | ast.Tuple | ast.Call):
                yield value
        case ast.Call(ast.Attribute(value, "pop"), []):
            yield value
        case ast.Call(ast.Attribute(_, "join"), [joined]):
            yield joined
        case ast.Call(function, arguments):
            found = body.value(function)
            if isinstance(found, External) and found.name in _KEEP_ORDER and not _is_sorted(node, body):
                yield from arguments
        case _:
            pass


def _is_sorted(node: ast.AST, body: Body) -> bool:
    """Whether what is made here goes straight to something that does not care for order."""
    around = body.parent(node)
    found = body.value(around.func) if isinstance(around, ast.Call) else None
    return isinstance(found, External) and found.name in _IGNORE_ORDER
