"""Rule direct-call: activities, orchestrators and entities are scheduled, not called."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.checking.body import Body, called, written
from perdure.checking.finding import Problem
from perdure.checking.values import AppFunction


def find_direct_calls(body: Body) -> Iterator[Problem]:
    """Find durable functions that are called like plain ones.

    An orchestrator that is handed the context goes on in the caller's place, which is as good as any function.
    """
    for node in body.nodes:
        found = body.value(node.func) if isinstance(node, ast.Call) else None
        if not isinstance(node, ast.Call) or not isinstance(found, AppFunction):
            continue
        name = written(node.func)
        if found.node in body.roles.activities:
            what, instead = "runs the activity", f"call_activity({name}, ...)"
        elif found.node in body.roles.entities:
            what, instead = "runs the entity", "call_entity(...)"
        elif body.roles.is_orchestrator(found.node) and not body.passes_context(node):
            what, instead = "runs the orchestrator", f"call_sub_orchestrator({name}, ...)"
        else:
            continue
        yield Problem(
            node,
            "direct-call",
            f"{called(node)} {what} here and now, in each replay again: use {body.context}.{instead}.",
        )
