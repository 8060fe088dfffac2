"""Scopes: which names a function, class or module binds, and to what."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass

from perdure.checking.syntax import Function, ScopeNode, own_nodes, parameters


@dataclass(frozen=True)
class Imported:
    """`import module`, or `from module import name`."""

    module: str
    level: int = 0
    name: str | None = None


@dataclass(frozen=True, eq=False)
class Defined:
    """A function or class."""

    node: Function | ast.ClassDef


@dataclass(frozen=True, eq=False)
class Parameter:
    """A parameter of a function."""

    function: Function | ast.Lambda
    arg: ast.arg


@dataclass(frozen=True, eq=False)
class Assigned:
    """A value given to the name alone, perhaps with a type."""

    value: ast.expr | None
    annotation: ast.expr | None = None


@dataclass(frozen=True)
class Unclear:
    """Bound by a loop, an unpacking or the like."""


Binding = Imported | Defined | Parameter | Assigned | Unclear


class Scope:
    """The names of one scope.

    Args:
        node: the function, class or module.
        outer: the scope around it, None for a module.
    """

    def __init__(self, node: ScopeNode, outer: Scope | None) -> None:
        self.node = node
        self.outer = outer
        self.star_imports: list[Imported] = []
        self._bindings: dict[str, list[Binding]] = defaultdict(list)
        self._elsewhere: set[str] = set()
        """Names that `global` and `nonlocal` give to other scopes."""
        self._seen: set[ast.AST] = set()
        """Targets that are dealt with already, together with their values."""
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            self._add_parameters(node)
        for each in own_nodes(node):
            self._add(each)

    def lookup(self, name: str) -> tuple[Scope, Binding] | None:
        """Return what a name stands for here and the scope that binds it; None if no scope does."""
        if name in self._bindings and name not in self._elsewhere:
            return self, _sole(self._bindings[name])
        outer = self.outer
        while outer is not None and isinstance(outer.node, ast.ClassDef):
            outer = outer.outer  # methods don't see the names of their class
        return outer.lookup(name) if outer is not None else None

    def member(self, name: str) -> Binding | None:
        """Return what this very scope binds a name to."""
        return _sole(self._bindings[name]) if name in self._bindings else None

    def _bind(self, name: str, binding: Binding) -> None:
        self._bindings[name].append(binding)

    def _assign(self, target: ast.Name, binding: Assigned) -> None:
        self._seen.add(target)
        self._bind(target.id, binding)

    def _add_parameters(self, function: Function | ast.Lambda) -> None:
        for arg in parameters(function):
            self._bind(arg.arg, Parameter(function, arg))
        for variadic in (function.args.vararg, function.args.kwarg):
            if variadic is not None:
                self._bind(variadic.arg, Unclear())

    def _add(self, node: ast.AST) -> None:  # noqa: PLR0912 - a case for each way to bind a name
        match node:
            case ast.Import(names):
                for alias in names:
                    self._bind(alias.asname or alias.name.split(".")[0], _plain_import(alias))
            case ast.ImportFrom(module, names, level):
                for alias in names:
                    imported = Imported(module or "", level or 0, alias.name)
                    if alias.name == "*":
                        self.star_imports.append(imported)
                    else:
                        self._bind(alias.asname or alias.name, imported)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                self._bind(name, Defined(node))
            case ast.Assign([ast.Name() as target], value) | ast.NamedExpr(target, value):
                self._assign(target, Assigned(value))
            case ast.AnnAssign(ast.Name() as target, annotation, value):
                self._assign(target, Assigned(value, annotation))
            case ast.withitem(value, ast.Name() as target):
                self._assign(target, Assigned(value))
            case ast.Name(name, ast.Store() | ast.Del()) if node not in self._seen:
                self._bind(name, Unclear())
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                self._bind(name, Unclear())
            case ast.MatchMapping(rest=str(name)):
                self._bind(name, Unclear())
            case ast.Global(names) | ast.Nonlocal(names):
                self._elsewhere.update(names)
            case _:
                pass


def _plain_import(alias: ast.alias) -> Imported:
    # `import a.b` binds a, `import a.b as c` binds a.b
    return Imported(alias.name if alias.asname else alias.name.split(".")[0])


def _sole(bindings: list[Binding]) -> Binding:
    """Return the one binding that matters. `try: import x / except ImportError: x = None` is the import."""
    imports = {each for each in bindings if isinstance(each, Imported)}
    others = [each for each in bindings if not isinstance(each, Imported)]
    if len(imports) == 1 and all(isinstance(each, Assigned) and _is_none(each.value) for each in others):
        return imports.pop()
    return others[0] if len(others) == 1 and not imports else Unclear()


def _is_none(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is None
