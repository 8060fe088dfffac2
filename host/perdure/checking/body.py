"""A function that an orchestrator runs, ready for the rules to look at."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from perdure.checking.inference import Inference
from perdure.checking.orchestrators import Roles
from perdure.checking.scope import Scope
from perdure.checking.syntax import is_generator, live_nodes, parameters, parents
from perdure.checking.values import AppFunction, Context, DurableTask, Value


@dataclass(frozen=True, eq=False)
class Body:
    """A function that runs as part of an orchestration.

    Args:
        function: the function.
        inference: tells what its expressions stand for.
        roles: what the app's functions are for.
        orchestrator: name of an orchestrator that runs it.
        is_orchestrator: it is one itself.
        is_driven: what it yields goes to the engine; that of another generator goes to whoever iterates over it.
    """

    function: AppFunction
    inference: Inference
    roles: Roles
    orchestrator: str
    is_orchestrator: bool
    is_driven: bool

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """What can be reached of it, in source order."""
        return live_nodes(self.function.node)

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """The node around each node."""
        return parents([self.function.node, *self.nodes])

    @cached_property
    def _values(self) -> dict[ast.expr, Value | None]:
        return {}

    @cached_property
    def scope(self) -> Scope:
        """Its names."""
        return self.function.module.scope_of(self.function.node)

    @property
    def is_async(self) -> bool:
        """Whether it is an `async def` function."""
        return isinstance(self.function.node, ast.AsyncFunctionDef)

    @cached_property
    def is_generator(self) -> bool:
        """Whether calling it returns a generator."""
        return is_generator(self.function.node)

    @cached_property
    def context(self) -> str:
        """What the context is called in it; "context" if it has none."""
        for arg in parameters(self.function.node):
            if isinstance(self.value(ast.Name(arg.arg, ast.Load())), Context):
                return arg.arg
        return "context"

    def value(self, node: ast.expr | None) -> Value | None:
        """Return what an expression in it stands for, None if that can't be known."""
        if node is None:
            return None
        if node not in self._values:
            self._values[node] = self.inference.value(node, self.function.module, self._scope_at(node))
        return self._values[node]

    def parent(self, node: ast.AST) -> ast.AST | None:
        """Return the node around a node."""
        return self.parents.get(node)

    def is_context(self, node: ast.expr) -> bool:
        """Whether an expression is the orchestration's context."""
        return isinstance(self.value(node), Context)

    def passes_context(self, call: ast.Call) -> bool:
        """Whether a call hands the context on."""
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        return any(self.is_context(argument) for argument in arguments)

    def mentions_tasks(self, node: ast.AST) -> bool:
        """Whether tasks, or variables that hold some, occur in an expression."""
        return any(
            (isinstance(each, ast.Name) and each.id in self._task_names)
            or (isinstance(each, ast.Call) and isinstance(self.value(each), DurableTask))
            for each in ast.walk(node)
        )

    @cached_property
    def _task_names(self) -> set[str]:
        """Names of variables that tasks are assigned or added to."""
        calls = [node for node in self.nodes if isinstance(node, ast.Call)]
        return {name for call in calls if isinstance(self.value(call), DurableTask) for name in self._receivers(call)}

    def _receivers(self, node: ast.AST) -> Iterator[str]:
        around = self.parents.get(node)
        while around is not None and not isinstance(around, ast.stmt | ast.Await | ast.Yield):
            match around:
                case ast.Call(ast.Attribute(ast.Name(name), "append" | "extend" | "insert" | "add")):
                    yield name
                case _:
                    pass
            around = self.parents.get(around)
        if isinstance(around, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = around.targets if isinstance(around, ast.Assign) else [around.target]
            names = [each for target in targets for each in ast.walk(target)]
            yield from (each.id for each in names if isinstance(each, ast.Name))

    @cached_property
    def _has_lambdas(self) -> bool:
        return any(isinstance(node, ast.Lambda) for node in self.nodes)

    def _scope_at(self, node: ast.expr) -> Scope:
        around: ast.AST | None = node if self._has_lambdas else None
        while around is not None:
            if isinstance(around, ast.Lambda):
                return self.function.module.scope_of(around)
            around = self.parents.get(around)
        return self.scope


def written(node: ast.expr) -> str:
    """Return an expression as it is written, shortened if it is long."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def called(call: ast.Call) -> str:
    """Return how a call is named in a message: `time.time()`."""
    return f"{written(call.func)}()"


_LONGEST = 60
