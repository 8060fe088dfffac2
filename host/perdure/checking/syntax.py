"""Walking over syntax trees: what belongs to a function itself, and what of it can be reached."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

Function = ast.FunctionDef | ast.AsyncFunctionDef
ScopeNode = ast.Module | ast.ClassDef | Function | ast.Lambda

_ENDS_BLOCK = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_SEPARATE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_NO_CODE = frozenset({"annotation", "returns", "type_params"})


def live_nodes(function: Function) -> list[ast.AST]:
    """Return the nodes that run as part of a function, in source order.

    What stands behind a return, raise, break or continue is left out, and so is what is guarded by a false constant:
    `return x` followed by `yield` is how a function becomes a generator that never waits. Functions and classes
    defined inside are left out, too; lambdas and comprehensions are part of the function.
    """
    found: list[ast.AST] = []
    waiting = _live_block(function.body)[::-1]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, _SEPARATE):
            found.append(node)
            waiting.extend(reversed(_live_children(node)))
    return found


def own_nodes(scope: ScopeNode) -> Iterator[ast.AST]:
    """Yield every node of a scope, reachable or not, definitions inside included but not what is inside them."""
    body: Sequence[ast.AST] = [scope.body] if isinstance(scope, ast.Lambda) else scope.body
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*_SEPARATE, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(node))


def parents(nodes: Sequence[ast.AST]) -> dict[ast.AST, ast.AST]:
    """Return each node's parent."""
    return {child: node for node in nodes for child in ast.iter_child_nodes(node)}


def is_generator(function: Function) -> bool:
    """Whether calling it returns a generator."""
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in own_nodes(function))


def parameters(function: Function | ast.Lambda) -> list[ast.arg]:
    """Return its parameters in the order in which positional arguments fill them; keyword-only ones follow."""
    each = function.args
    return [*each.posonlyargs, *each.args, *each.kwonlyargs]


def decorator_names(node: Function | ast.ClassDef) -> set[str]:
    """Return the last names of its decorators: `activity_trigger` for `@app.activity_trigger(...)`."""
    return {last_name(each.func if isinstance(each, ast.Call) else each) for each in node.decorator_list}


def last_name(node: ast.expr) -> str:
    """Return `c` for `a.b.c` and for `c`, "" for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _live_children(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for name, value in ast.iter_fields(node):
        if name in _NO_CODE or _never_runs(node, name):
            continue
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found += _live_block([each for each in value if isinstance(each, ast.AST)])
    return found


def _live_block(block: Sequence[ast.AST]) -> list[ast.AST]:
    """Return the statements up to the one that leaves the block, all if none does."""
    end = next((index for index, each in enumerate(block) if isinstance(each, _ENDS_BLOCK)), len(block))
    return list(block[: end + 1])


def _never_runs(node: ast.AST, field: str) -> bool:
    if not isinstance(node, ast.If | ast.While) or field != "body":
        return False
    test = node.test
    return (isinstance(test, ast.Constant) and not test.value) or last_name(test) == "TYPE_CHECKING"
