"""Rule global-state: what outlives a run of the orchestrator must not be changed by it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perdure.checking.body import Body, written
from perdure.checking.finding import Problem
from perdure.checking.scope import Assigned
from perdure.checking.values import AppClass, AppModule, External

_CHANGES = frozenset(
    {
        "append",
        "appendleft",
        "extend",
        "insert",
        "add",
        "update",
        "pop",
        "popleft",
        "popitem",
        "remove",
        "discard",
        "clear",
        "setdefault",
    }
)
_CONTAINERS = frozenset(
    {
        "builtins.list",
        "builtins.dict",
        "builtins.set",
        "collections.defaultdict",
        "collections.deque",
        "collections.Counter",
        "collections.OrderedDict",
    }
)


def find_shared_state(body: Body) -> Iterator[Problem]:
    """Find changes of module-level variables and of attributes of classes and modules."""
    declared = {name for node in body.nodes if isinstance(node, ast.Global) for name in node.names}
    for node in body.nodes:
        match node:
            case ast.Name(name, ast.Store() | ast.Del()) if name in declared:
                yield _problem(node, name)
            case ast.Subscript(ast.Name() as container, _, ast.Store() | ast.Del()) if _is_shared(container, body):
                yield _problem(node, container.id)
            case ast.Call(ast.Attribute(ast.Name() as container, method)) if method in _CHANGES:
                if _is_shared(container, body):
                    yield _problem(node, container.id)
            case ast.Attribute(base, _, ast.Store() | ast.Del()):
                found = body.value(base)
                if isinstance(found, AppClass | AppModule) or (isinstance(found, External) and not found.made):
                    yield _problem(node, written(node))
            case _:
                pass


def _is_shared(name: ast.Name, body: Body) -> bool:
    """Whether a name stands for a container that was made when the module was loaded."""
    found = body.scope.lookup(name.id)
    if found is None or not isinstance(found[0].node, ast.Module):
        return False
    binding = found[1]
    value = binding.value if isinstance(binding, Assigned) else None
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    made = body.value(value.func) if isinstance(value, ast.Call) else None
    return isinstance(made, External) and made.name in _CONTAINERS


def _problem(node: ast.expr, name: str) -> Problem:
    return Problem(
        node,
        "global-state",
        f"{name} is shared by all orchestrations of a process, and each replay changes it again: keep it in local "
        f"variables, the input of continue_as_new, or an entity.",
    )
