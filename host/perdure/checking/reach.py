"""Which functions of the app an orchestrator runs, itself included."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from perdure.checking.body import Body
from perdure.checking.codebase import Module
from perdure.checking.inference import Inference
from perdure.checking.orchestrators import Roles
from perdure.checking.syntax import Function, is_generator, parameters
from perdure.checking.values import AppClass, AppFunction, Context, External

_CALL_THEIR_ARGUMENTS = frozenset(
    {
        "map",
        "filter",
        "sorted",
        "min",
        "max",
        "partial",
        "reduce",
        "takewhile",
        "dropwhile",
        "groupby",
        "RetryPolicy",
        "RetryOptions",
    }
)
"""Functions and classes of others that call what they are given."""

_CONSTRUCTORS = ("__new__", "__init__", "__post_init__")


class Reach:
    """Follows calls from the orchestrators on.

    Args:
        inference: tells what is called.
        roles: which functions are orchestrators, and which are run elsewhere.
    """

    def __init__(self, inference: Inference, roles: Roles) -> None:
        self._inference = inference
        self._roles = roles
        self._bodies: dict[tuple[Function, bool], Body] = {}
        self._waiting: deque[Body] = deque()

    def bodies(self, modules: Collection[Module]) -> list[Body]:
        """Return every function that is run by an orchestrator which stands, or is registered, in these modules."""
        for orchestrator in self._roles.orchestrators:
            for parameter in parameters(orchestrator.function.node)[:1]:
                self._inference.contexts.add(parameter)
        for orchestrator in self._roles.orchestrators:
            function = orchestrator.function
            if function.module in modules or orchestrator.noted_in in modules:
                self._add(function, function.node.name, is_orchestrator=True, is_driven=True)
        while self._waiting:
            self._follow(self._waiting.popleft())
        # what is known by now was not all known on the way
        return [replace(body) for body in self._bodies.values()]

    def _add(self, function: AppFunction, orchestrator: str, *, is_driven: bool, is_orchestrator: bool = False) -> None:
        # only generators can be run in two ways
        driven = is_driven or is_orchestrator or not is_generator(function.node)
        key = (function.node, driven)
        if key not in self._bodies:
            self._bodies[key] = Body(
                function, self._inference, self._roles, orchestrator, is_orchestrator=is_orchestrator, is_driven=driven
            )
            self._waiting.append(self._bodies[key])

    def _follow(self, body: Body) -> None:
        for node in body.nodes:
            if isinstance(node, ast.Call):
                self._follow_call(node, body)
            elif isinstance(node, ast.Attribute):
                found = body.value(node)
                if isinstance(found, AppFunction) and found.bound and self._inference.is_property(found):
                    self._run(found, body, is_driven=False)

    def _follow_call(self, call: ast.Call, body: Body) -> None:
        target = body.value(call.func)
        match target:
            case AppFunction():
                self._pass_context(call, target, body)
                self._run(target, body, is_driven=_hands_over(call, body))
            case AppClass():
                for constructor in self._inference.methods(target, *_CONSTRUCTORS):
                    bound = AppFunction(constructor.module, constructor.node, constructor.owner, bound=True)
                    self._pass_context(call, bound, body)
                    self._run(bound, body, is_driven=False)
            case External(name) if name.rpartition(".")[2] in _CALL_THEIR_ARGUMENTS:
                for argument in _arguments(call):
                    given = body.value(argument)
                    if isinstance(given, AppFunction):
                        self._run(given, body, is_driven=False)
            case _:
                pass

    def _run(self, function: AppFunction, body: Body, *, is_driven: bool) -> None:
        if self._roles.is_plain(function.node):
            self._add(function, body.orchestrator, is_driven=is_driven)

    def _pass_context(self, call: ast.Call, function: AppFunction, body: Body) -> None:
        """Remember which of the function's parameters receive the context; what follows from that is seen anew."""
        before = len(self._inference.contexts)
        for argument, parameter in _pairs(call, parameters(function.node)[1 if function.bound else 0 :]):
            if isinstance(body.value(argument), Context):
                self._inference.contexts.add(parameter)
        if len(self._inference.contexts) > before:
            for key, body_seen in list(self._bodies.items()):
                if key[0] is function.node:
                    self._bodies[key] = replace(body_seen)
                    self._waiting.append(self._bodies[key])


def _hands_over(call: ast.Call, body: Body) -> bool:
    """Whether what a called generator yields goes where the caller's own yields go."""
    around = body.parent(call)
    if isinstance(around, ast.Return):
        return body.is_orchestrator and not body.is_generator and not body.is_async
    return body.is_driven and isinstance(around, ast.YieldFrom | ast.Await)


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _pairs(call: ast.Call, taken: Sequence[ast.arg]) -> Iterator[tuple[ast.expr, ast.arg]]:
    """Yield the arguments of a call with the parameters that they fill, as far as that is plain."""
    for argument, parameter in zip(call.args, taken, strict=False):
        if isinstance(argument, ast.Starred):
            break
        yield argument, parameter
    by_name = {parameter.arg: parameter for parameter in taken}
    for keyword in call.keywords:
        if keyword.arg in by_name:
            yield keyword.value, by_name[keyword.arg]
