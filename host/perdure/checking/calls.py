"""Rules wall-clock, random, uuid, identity, sleep, io, environment, threads: calls that the catalogue knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.checking.body import Body, called, written
from perdure.checking.catalogue import Entry, entry_for
from perdure.checking.finding import Problem
from perdure.checking.values import AppClass, External

_ENVIRONMENT = frozenset({"os.environ", "os.environb", "sys.argv"})
_FIELDS = frozenset({"dataclasses.field", "pydantic.Field", "pydantic.fields.Field", "attrs.field", "attr.ib"})


def find_calls(body: Body) -> Iterator[Problem]:
    """Find what reads or touches the world outside."""
    for node in body.nodes:
        if isinstance(node, ast.Call):
            entry = catalogued(node, body)
            if entry is not None:
                yield _problem(node, entry, called(node), body)
            yield from _find_defaults(node, body)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            found = body.value(node)
            if isinstance(found, External) and found.name in _ENVIRONMENT:
                message = (
                    f"{written(node)} may say something else where the replay runs: put it into the orchestration's "
                    f"input, or read it in an activity."
                )
                yield Problem(node, "environment", message)


def catalogued(call: ast.Call, body: Body) -> Entry | None:
    """Return why an orchestrator must not make this call, None if nothing is known against it."""
    found = body.value(call.func)
    if not isinstance(found, External):
        return None
    return entry_for(found.name, arguments=len(call.args) + len(call.keywords), shared=found.shared)


def _problem(node: ast.expr, entry: Entry, what: str, body: Body) -> Problem:
    return Problem(node, entry.rule, entry.sentence.format(what=what, context=body.context))


def _find_defaults(call: ast.Call, body: Body) -> Iterator[Problem]:
    """Find fields of a class of the app's that the call leaves to a `default_factory` which is in the catalogue."""
    made = body.value(call.func)
    if not isinstance(made, AppClass) or any(isinstance(each, ast.Starred) for each in call.args):
        return
    given = {keyword.arg for keyword in call.keywords}
    if None in given:
        return
    scope = made.module.scope_of(made.node)
    fields = [each for each in made.node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)]
    for index, field in enumerate(fields):
        name = field.target.id if isinstance(field.target, ast.Name) else ""
        if index < len(call.args) or name in given or not isinstance(field.value, ast.Call):
            continue
        maker = body.inference.value(field.value.func, made.module, scope)
        if not isinstance(maker, External) or maker.name not in _FIELDS:
            continue
        for keyword in field.value.keywords:
            factory = _factory(keyword) if keyword.arg in {"default_factory", "factory"} else None
            found = body.inference.value(factory, made.module, scope)
            entry = entry_for(found.name, arguments=0) if isinstance(found, External) else None
            if entry is not None and factory is not None:
                yield _problem(call, entry, f"{written(factory)}(), the default of {made.node.name}.{name},", body)


def _factory(keyword: ast.keyword) -> ast.expr:
    """Return the function that makes the default: itself, or what a lambda calls."""
    value = keyword.value
    return value.body.func if isinstance(value, ast.Lambda) and isinstance(value.body, ast.Call) else value
