"""Finding the orchestrators of a module, and telling what role a function of the app has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from perdure.checking.codebase import Module
from perdure.checking.inference import Inference
from perdure.checking.syntax import Function, decorator_names, last_name
from perdure.checking.values import AppFunction

_HOST_TRIGGERS = ("_trigger", "route", "schedule", "warm_up")


_REGISTRATIONS = frozenset({"Orchestrator.create", "Entity.create", "add_orchestrator", "add_activity", "add_entity"})


@dataclass(frozen=True)
class Orchestrator:
    """An orchestrator, and the module that makes it one."""

    function: AppFunction
    noted_in: Module


@dataclass
class Roles:
    """What the functions of an app are for."""

    orchestrators: list[Orchestrator] = field(default_factory=list)
    activities: set[Function] = field(default_factory=set)
    entities: set[Function] = field(default_factory=set)
    triggers: set[Function] = field(default_factory=set)
    """Run by the Functions host."""

    def is_orchestrator(self, node: Function) -> bool:
        """Whether a function is an orchestrator."""
        return any(orchestrator.function.node is node for orchestrator in self.orchestrators)

    def is_plain(self, node: Function) -> bool:
        """Whether a function runs only where the app's own code calls it."""
        special = node in self.activities or node in self.entities or node in self.triggers
        return not special and not self.is_orchestrator(node)


def find_roles(module: Module, inference: Inference, roles: Roles) -> None:
    """Add what a module's decorators and registrations say to `roles`."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _read_decorators(node, module, roles)
        elif isinstance(node, ast.Call):
            _read_registration(node, module, inference, roles)


def _read_decorators(node: Function, module: Module, roles: Roles) -> None:
    names = decorator_names(node)
    if "orchestration_trigger" in names:
        roles.orchestrators.append(Orchestrator(AppFunction(module, node), module))
    elif "activity_trigger" in names:
        roles.activities.add(node)
    elif "entity_trigger" in names:
        roles.entities.add(node)
    elif any(name.endswith(_HOST_TRIGGERS) for name in names):
        roles.triggers.add(node)


def _read_registration(call: ast.Call, module: Module, inference: Inference, roles: Roles) -> None:
    """`Orchestrator.create(f)`, `add_orchestrator(f)`, `add_orchestrator("name", f)`, and the same for activities and
    entities.
    """
    name = last_name(call.func)
    if name == "create" and isinstance(call.func, ast.Attribute):
        name = f"{last_name(call.func.value)}.create"
    if name not in _REGISTRATIONS:
        return
    for function in _functions_in(call, module, inference):
        if name == "add_activity":
            roles.activities.add(function.node)
        elif name in {"add_entity", "Entity.create"}:
            roles.entities.add(function.node)
        else:
            roles.orchestrators.append(Orchestrator(function, module))


def _functions_in(call: ast.Call, module: Module, inference: Inference) -> Iterator[AppFunction]:
    for argument in (*call.args, *(keyword.value for keyword in call.keywords)):
        # registrations stand at module level, or in a function that makes the app: look from where it is
        found = inference.value(argument, module, module.scope_around(call))
        if isinstance(found, AppFunction):
            yield found
