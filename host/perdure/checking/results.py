"""Rule not-awaited: a task used where its result is meant."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.checking.body import Body, called, written
from perdure.checking.finding import Problem
from perdure.checking.values import ContextMember, DurableTask

_RULE = "not-awaited"
_IDENTITY = (ast.Is, ast.IsNot, ast.Eq, ast.NotEq, ast.In, ast.NotIn)
_USELESS_ALONE = frozenset(
    {"create_timer", "wait_for_external_event", "lock_entities", "task_all", "task_any", "when_all", "when_any"}
)
_TAKE_DATA = frozenset(
    {
        "call_activity",
        "call_activity_with_retry",
        "call_sub_orchestrator",
        "call_sub_orchestrator_with_retry",
        "continue_as_new",
        "send_event",
        "set_custom_status",
        "signal_entity",
        "call_entity",
    }
)


def find_unawaited(body: Body) -> Iterator[Problem]:
    """Find tasks in places where only what they return makes sense."""
    verb = "await" if body.is_async else "yield"
    for node in body.nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            task = body.value(node.value)
            if isinstance(task, DurableTask) and task.method in _USELESS_ALONE:
                yield Problem(node.value, _RULE, f"{called(node.value)} alone waits for nothing: {verb} it.")
            continue
        for used in _uses(node, body):
            task = body.value(used)
            if isinstance(task, DurableTask):
                what = called(used) if isinstance(used, ast.Call) else written(used)
                yield Problem(used, _RULE, f"{what} is a task here, not its result: {verb} it first.")


def _uses(node: ast.AST, body: Body) -> Iterator[ast.expr]:
    """Yield the expressions directly below a node whose plain values it works with."""
    match node:
        case ast.BinOp(left, _, right):
            yield left
            yield right
        case ast.Compare(left, operators, others) if not any(isinstance(each, _IDENTITY) for each in operators):
            yield left
            yield from others
        case ast.Subscript(value, _, ast.Load()) | ast.FormattedValue(value) | ast.UnaryOp(_, value):
            yield value
        case ast.If(test) | ast.While(test) | ast.IfExp(test) | ast.Assert(test):
            yield test
        case ast.With(items):
            yield from (item.context_expr for item in items)
        case ast.For(iter=iterated) | ast.comprehension(iter=iterated):
            yield iterated
        case ast.Return(ast.expr() as value) if body.is_orchestrator:
            yield value
        case ast.Call(function, arguments, keywords):
            member = body.value(function)
            if isinstance(member, ContextMember) and member.name in _TAKE_DATA:
                yield from arguments
                yield from (keyword.value for keyword in keywords)
        case _:
            pass
