"""What the check can know of a value without running anything."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perdure.checking.syntax import Function

if TYPE_CHECKING:
    from perdure.checking.codebase import Module


@dataclass(frozen=True)
class External:
    """Something that is not the app's own, or a builtin, by its full name."""

    name: str
    made: bool = False
    """An instance of the class of this name."""
    shared: bool = False
    """Made when its module was loaded, and so shared by all orchestrations of the process."""


@dataclass(frozen=True)
class AppModule:
    """A module of the app."""

    module: Module


@dataclass(frozen=True)
class AppPackage:
    """A folder of the app."""

    module: Module
    """The module that imports it."""
    name: str


@dataclass(frozen=True)
class AppFunction:
    """A function or method of the app."""

    module: Module
    node: Function
    owner: AppClass | None = None
    bound: bool = False
    """It is a method of an instance (or class), which fills its first parameter."""


@dataclass(frozen=True)
class AppClass:
    """A class of the app."""

    module: Module
    node: ast.ClassDef


@dataclass(frozen=True)
class AppInstance:
    """An instance of a class of the app."""

    type: AppClass


@dataclass(frozen=True)
class Context:
    """An orchestration context."""


@dataclass(frozen=True)
class EntityProxy:
    """What `context.entity(...)` returned: its methods call the entity's operations."""


@dataclass(frozen=True)
class ContextMember:
    """A method or property of an orchestration context."""

    name: str


@dataclass(frozen=True)
class DurableTask:
    """What a method of the context returned."""

    method: str


@dataclass(frozen=True)
class SetOf:
    """A set whose elements come in no particular order."""


Value = (
    External
    | AppModule
    | AppPackage
    | AppFunction
    | AppClass
    | AppInstance
    | Context
    | ContextMember
    | EntityProxy
    | DurableTask
    | SetOf
)

TASK_METHODS = frozenset(
    {
        "call_activity",
        "call_activity_with_retry",
        "call_sub_orchestrator",
        "call_sub_orchestrator_with_retry",
        "call_http",
        "call_entity",
        "lock_entities",
        "create_timer",
        "wait_for_external_event",
        "task_all",
        "task_any",
        "when_all",
        "when_any",
    }
)
"""Methods of the context that return a task."""
