"""What an expression stands for, as far as reading alone can tell."""

from __future__ import annotations

import ast
import builtins
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from perdure.checking.codebase import Codebase, Module
from perdure.checking.scope import Assigned, Binding, Defined, Imported, Parameter, Scope
from perdure.checking.syntax import decorator_names, last_name, parameters
from perdure.checking.values import (
    TASK_METHODS,
    AppClass,
    AppFunction,
    AppInstance,
    AppModule,
    AppPackage,
    Context,
    ContextMember,
    DurableTask,
    EntityProxy,
    External,
    SetOf,
    Value,
)

_DEEPEST = 25
"""Steps after which a chain of names is given up: it may be a circle."""

_CONTEXT_TYPES = ("OrchestrationContext", "DurableOrchestrationContext")
_ENTITY = "DurableEntity"
_CONTEXT_NAMES = frozenset({"context", "ctx"})
_PATHS = frozenset({"pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath"})
_TO_PATHS = frozenset({"parent", "joinpath", "with_name", "with_suffix", "with_stem", "relative_to", "cwd", "home"})
_MAKERS = {
    "requests.session": "requests.Session",
    "numpy.random.default_rng": "numpy.random.Generator",
    "boto3.client": "boto3.Client",
    "boto3.resource": "boto3.Resource",
    "sqlite3.connect": "sqlite3.Connection",
    "psycopg.connect": "psycopg.Connection",
    "psycopg2.connect": "psycopg2.Connection",
    "sqlalchemy.create_engine": "sqlalchemy.Engine",
    "sqlalchemy.ext.asyncio.create_async_engine": "sqlalchemy.ext.asyncio.AsyncEngine",
}
"""Functions that return an instance of a class."""
_WRAPPERS = frozenset({"Optional", "Annotated", "Final", "ClassVar"})
_SET_TYPES = frozenset({"builtins.set", "builtins.frozenset", "typing.Set", "typing.FrozenSet", "typing.AbstractSet"})


class Inference:
    """Looks names up over the modules of an app.

    Args:
        codebase: where modules come from.
    """

    def __init__(self, codebase: Codebase) -> None:
        self._codebase = codebase
        self.contexts: set[ast.arg] = set()
        """Parameters that are known to receive an orchestration context."""

    def value(self, node: ast.expr | None, module: Module, scope: Scope, depth: int = 0) -> Value | None:
        """Return what an expression in a scope stands for, None if that can't be known."""
        if depth > _DEEPEST:
            return None
        deeper = depth + 1
        match node:
            case ast.Name(name):
                return self._named(name, module, scope, deeper)
            case ast.Attribute(base, attribute):
                return self._member(self.value(base, module, scope, deeper), attribute, deeper)
            case ast.Call(function, arguments):
                returned = self._returned(self.value(function, module, scope, deeper))
                if isinstance(returned, External) and any(
                    isinstance(self.value(each, module, scope, deeper), Context) for each in arguments
                ):
                    return None  # what has the context can wait for its tasks
                return returned
            case ast.BinOp(left, operator, right):
                found = self.value(left, module, scope, deeper)
                if isinstance(operator, ast.Div):
                    return found if isinstance(found, External) and found.made and found.name in _PATHS else None
                return found if isinstance(found, SetOf) and self.value(right, module, scope, deeper) == found else None
            case ast.Set(elements):
                return None if all(_is_number(each) for each in elements) else SetOf()
            case ast.SetComp():
                return SetOf()
            case ast.NamedExpr(_, value):
                return self.value(value, module, scope, deeper)
            case ast.IfExp(_, first, second):
                found = self.value(first, module, scope, deeper)
                return found if found == self.value(second, module, scope, deeper) else None
            case _:
                return None

    def methods(self, owner: AppClass, *names: str) -> list[AppFunction]:
        """Return those methods that a class of the app has, its own or of its bases in the app."""
        found = [self._class_member(owner, name, 0) for name in names]
        return [each for each in found if isinstance(each, AppFunction)]

    def is_property(self, function: AppFunction) -> bool:
        """Whether reading the attribute calls the method."""
        return bool(decorator_names(function.node) & {"property", "cached_property"})

    def bases(self, owner: AppClass) -> Iterator[AppClass]:
        """Yield a class and its bases in the app, nearest first."""
        waiting, seen = deque([owner]), {owner}
        while waiting:
            each = waiting.popleft()
            yield each
            scope = each.module.scope_of(each.node).outer or each.module.scope
            for base in each.node.bases:
                plain = base.value if isinstance(base, ast.Subscript) else base
                found = self.value(plain, each.module, scope)
                if isinstance(found, AppClass) and found not in seen:
                    seen.add(found)
                    waiting.append(found)

    # ---- names ---------------------------------------------------------------------------------------------------

    def _named(self, name: str, module: Module, scope: Scope, depth: int) -> Value | None:
        found = scope.lookup(name)
        if found is not None:
            return self._bound(found[1], module, found[0], depth)
        for star in module.scope.star_imports:
            origin = self._codebase.find(module, star.module, star.level)
            if origin is not None and (value := self._in_module(origin, name, depth)) is not None:
                return value
        return External(f"builtins.{name}") if hasattr(builtins, name) else None

    def _bound(self, binding: Binding, module: Module, scope: Scope, depth: int) -> Value | None:
        if depth > _DEEPEST:
            return None
        match binding:
            case Imported():
                return self._imported(binding, module, depth)
            case Defined(ast.ClassDef() as node):
                return AppClass(module, node)
            case Defined(ast.FunctionDef() | ast.AsyncFunctionDef() as node):
                owner = AppClass(module, scope.node) if isinstance(scope.node, ast.ClassDef) else None
                return AppFunction(module, node, owner)
            case Parameter():
                return self._parameter(binding, module, scope, depth)
            case Assigned(value, annotation):
                found = self.value(value, module, scope, depth)
                if found is None and annotation is not None:
                    found = self._annotated(annotation, module, scope, depth)
                if isinstance(found, External) and found.made and isinstance(scope.node, ast.Module):
                    return External(found.name, made=True, shared=True)
                return found
            case _:
                return None

    def _imported(self, binding: Imported, module: Module, depth: int) -> Value | None:
        origin = self._codebase.find(module, binding.module, binding.level)
        if binding.name is None:
            if origin is not None:
                return AppModule(origin)
            if self._codebase.is_package(module, binding.module):
                return AppPackage(module, binding.module)
            return None if self._is_own(module, binding.module) else External(binding.module)
        if origin is not None and (value := self._in_module(origin, binding.name, depth)) is not None:
            return value
        inner = f"{binding.module}.{binding.name}" if binding.module else binding.name
        submodule = self._codebase.find(module, inner, binding.level)
        if submodule is not None:
            return AppModule(submodule)
        if not binding.level and self._codebase.is_package(module, inner):
            return AppPackage(module, inner)
        return None if binding.level or self._is_own(module, binding.module) else External(inner)

    def _is_own(self, module: Module, name: str) -> bool:
        """Whether a module is, or would be, in one of the app's packages."""
        top = name.partition(".")[0]
        return self._codebase.find(module, top) is not None or self._codebase.is_package(module, top)

    def _in_module(self, module: Module, name: str, depth: int) -> Value | None:
        if depth > _DEEPEST:
            return None
        binding = module.scope.member(name)
        if binding is None and not module.scope.star_imports:
            return None
        found = self._named(name, module, module.scope, depth + 1)
        return None if binding is None and isinstance(found, External) else found

    def _parameter(self, binding: Parameter, module: Module, scope: Scope, depth: int) -> Value | None:
        if binding.arg in self.contexts:
            return Context()
        owner = scope.outer.node if scope.outer is not None else None
        function = binding.function
        if isinstance(owner, ast.ClassDef) and not isinstance(function, ast.Lambda):
            decorators = decorator_names(function)
            if binding.arg is parameters(function)[0] and "staticmethod" not in decorators:
                return AppClass(module, owner) if "classmethod" in decorators else AppInstance(AppClass(module, owner))
        if binding.arg.annotation is not None:
            return self._annotated(binding.arg.annotation, module, scope, depth)
        return Context() if binding.arg.arg in _CONTEXT_NAMES else None

    # ---- types and members ---------------------------------------------------------------------------------------

    def _annotated(self, annotation: ast.expr, module: Module, scope: Scope, depth: int) -> Value | None:
        """Return what a value of this type is."""
        if depth > _DEEPEST:
            return None
        deeper = depth + 1
        match annotation:
            case ast.Constant(str(text)):
                with suppress(SyntaxError):
                    return self._annotated(ast.parse(text, mode="eval").body, module, scope, deeper)
                return None
            case ast.BinOp(left, ast.BitOr(), ast.Constant(None)) | ast.BinOp(ast.Constant(None), ast.BitOr(), left):
                return self._annotated(left, module, scope, deeper)
            case ast.Subscript(ast.Name(name) | ast.Attribute(attr=name), inner) if name in _WRAPPERS:
                first = inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner
                return self._annotated(first, module, scope, deeper)
            case ast.Subscript(base):
                return self._annotated(base, module, scope, deeper)
            case _:
                return self._instance(self.value(annotation, module, scope, deeper))

    def _member(self, base: Value | None, name: str, depth: int) -> Value | None:
        match base:
            case Context():
                return ContextMember(name)
            case EntityProxy():
                return ContextMember("call_entity")
            case External(of, made):
                if made and of in _PATHS and name == "parent":
                    return base
                return External(f"{of}.{name}", shared=base.shared)
            case AppModule(module):
                found = self._in_module(module, name, depth)
                if found is None and module.path is not None and module.path.name == "__init__.py":
                    submodule = self._codebase.find(module, name, 1)
                    return AppModule(submodule) if submodule is not None else None
                return found
            case AppPackage(importer, package):
                return self._imported(Imported(package, 0, name), importer, depth)
            case AppClass():
                return self._class_member(base, name, depth)
            case AppInstance(type_):
                found = self._class_member(type_, name, depth)
                if isinstance(found, AppFunction):
                    bound = "staticmethod" not in decorator_names(found.node)
                    return AppFunction(found.module, found.node, found.owner, bound=bound)
                return found
            case _:
                return None

    def _class_member(self, owner: AppClass, name: str, depth: int) -> Value | None:
        for each in self.bases(owner):
            scope = each.module.scope_of(each.node)
            binding = scope.member(name)
            if binding is not None:
                found = self._bound(binding, each.module, scope, depth + 1)
                if isinstance(found, AppFunction) and "classmethod" in decorator_names(found.node):
                    return AppFunction(found.module, found.node, found.owner, bound=True)
                return found
        return None

    def _returned(self, function: Value | None) -> Value | None:
        """Return what calling it gives."""
        match function:
            case External(name):
                return _made_by(name)
            case AppClass():
                return AppInstance(function)
            case ContextMember("entity"):
                return EntityProxy()
            case ContextMember(name):
                return DurableTask(name) if name in TASK_METHODS else None
            case _:
                return None

    def _instance(self, of: Value | None) -> Value | None:
        """Return what something annotated with a class is."""
        match of:
            case External(name):
                if name.rpartition(".")[2] in _CONTEXT_TYPES:
                    return Context()
                return SetOf() if name in _SET_TYPES else External(name, made=True)
            case AppClass():
                return EntityProxy() if self._is_entity(of) else AppInstance(of)
            case _:
                return None

    def _is_entity(self, cls: AppClass) -> bool:
        """Whether a class is an entity's. Outside of it only proxies are of this type."""
        return any(
            isinstance(base, ast.Name | ast.Attribute) and last_name(base) == _ENTITY
            for each in self.bases(cls)
            for base in each.node.bases
        )


def _made_by(name: str) -> Value | None:
    if name in _SET_TYPES:
        return SetOf()
    if name in _MAKERS:
        return External(_MAKERS[name], made=True)
    of, _, last = name.rpartition(".")
    if of in _PATHS and last in _TO_PATHS:
        return External(of, made=True)
    return External(name, made=True) if last[:1].isupper() else None


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)
