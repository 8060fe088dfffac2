"""The modules of an app: found by their names, parsed once, never imported."""

from __future__ import annotations

import ast
import sys
import tokenize
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from perdure.checking.finding import Finding
from perdure.checking.scope import Scope
from perdure.checking.syntax import ScopeNode

_ROOT_MARK = "host.json"


class Module:
    """A parsed file.

    Args:
        file: what reports call it.
        text: its source.
        path: where it stands, absolute; None for a text that stands nowhere.
        root: the folder that its app's absolute imports begin in.

    Raises:
        SyntaxError: the text is not valid Python.
    """

    def __init__(self, file: str, text: str, path: Path | None, root: Path | None) -> None:
        self.file = file
        self.text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.path = path
        self.root = root
        self.tree = _parsed(self.text, file)
        self._scopes: dict[ast.AST, Scope] = {}

    @cached_property
    def lines(self) -> list[str]:
        """Its lines as the parser counts them."""
        return self.text.split("\n")

    @cached_property
    def scope(self) -> Scope:
        """The names of the module itself."""
        return self.scope_of(self.tree)

    def scope_of(self, node: ScopeNode) -> Scope:
        """Return the names that code in a function, class or the module itself sees."""
        if node not in self._scopes:
            outer = self._enclosing.get(node)
            self._scopes[node] = Scope(node, None if outer is None else self.scope_of(outer))
        return self._scopes[node]

    def scope_around(self, node: ast.AST) -> Scope:
        """Return the names that an expression sees."""
        return self.scope_of(self._enclosing.get(node, self.tree))

    def column(self, node: ast.expr | ast.stmt | ast.excepthandler) -> int:
        """Return the column of a node in characters, from 1; the parser counts bytes from 0."""
        line = self.lines[node.lineno - 1].encode()
        return len(line[: node.col_offset].decode(errors="replace")) + 1

    def finding(self, node: ast.expr | ast.stmt | ast.excepthandler, rule: str, message: str) -> Finding:
        """Return a finding at a node."""
        return Finding(self.file, node.lineno, self.column(node), rule, message)

    @cached_property
    def _enclosing(self) -> dict[ast.AST, ScopeNode]:
        found: dict[ast.AST, ScopeNode] = {}
        waiting: list[tuple[ast.AST, ScopeNode]] = [(self.tree, self.tree)]
        while waiting:
            node, scope = waiting.pop()
            for child in ast.iter_child_nodes(node):
                found[child] = scope
                opens = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda)
                waiting.append((child, child if opens else scope))  # type: ignore[arg-type] # isinstance above
        return found


class Codebase:
    """The modules that have been looked at so far. In memory only unless `root` folders are on a disk."""

    def __init__(self) -> None:
        self.unreadable: list[Finding] = []
        """Files that are not valid Python."""
        self._modules: dict[Path, Module | None] = {}

    @property
    def modules(self) -> list[Module]:
        """All readable modules, in the order in which they were first asked for."""
        return [module for module in self._modules.values() if module is not None]

    def load(self, path: Path, root: Path) -> Module | None:
        """Return a file's module, None if it can't be read; that is noted then.

        Args:
            path: the file, absolute.
            root: the folder that absolute imports begin in.
        """
        if path not in self._modules:
            self._modules[path] = self._read(path, root)
        return self._modules[path]

    def find(self, importer: Module, name: str, level: int = 0) -> Module | None:
        """Return the app's module of a name as `importer` would import it, None if the app has none.

        Args:
            importer: the module with the import in it.
            name: dotted; "" with a level is the package itself.
            level: number of leading dots.
        """
        if importer.path is None or importer.root is None:
            return None
        parts = name.split(".") if name else []
        for folder in _folders(importer.path, importer.root, parts, level):
            place = folder.joinpath(*parts)
            for path in (place / "__init__.py", *([place.with_name(f"{place.name}.py")] if parts else [])):
                if path.is_file():
                    return self.load(path, importer.root)
        return None

    def is_package(self, importer: Module, name: str) -> bool:
        """Whether the app has a folder of this name with modules in it."""
        if importer.path is None or importer.root is None:
            return False
        parts = name.split(".")
        folders = _folders(importer.path, importer.root, parts, 0)
        return any(any(folder.joinpath(*parts).rglob("*.py")) for folder in folders)

    def _read(self, path: Path, root: Path) -> Module | None:
        file = shown(path)
        try:
            with tokenize.open(path) as opened:
                text = opened.read()
            return Module(file, text, path, root)
        except SyntaxError as error:
            self.unreadable.append(syntax_finding(file, error))
        except (OSError, UnicodeError, ValueError) as error:
            self.unreadable.append(Finding(file, 1, 1, "unreadable", f"this file can't be read: {error}."))
        return None


def app_root(path: Path, otherwise: Path) -> Path:
    """Return the folder of the app that a file belongs to: the nearest one with a host.json, or `otherwise`."""
    return next((folder for folder in path.parents if (folder / _ROOT_MARK).is_file()), otherwise)


def shown(path: Path) -> str:
    """Return what to call a file: relative to the current folder if it is below that."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def syntax_finding(file: str, error: SyntaxError) -> Finding:
    """Return the finding for a file that the parser refuses."""
    return Finding(file, error.lineno or 1, error.offset or 1, "unreadable", f"this is not valid Python: {error.msg}.")


def _parsed(text: str, file: str) -> ast.Module:
    try:
        return ast.parse(text, file)
    except ValueError as error:  # null bytes, on some versions of Python
        raise SyntaxError(str(error)) from error
    except (RecursionError, MemoryError) as error:  # what the parser raises for it depends on its version
        raise SyntaxError("it is nested too deeply") from error


def _folders(path: Path, root: Path, parts: Sequence[str], level: int) -> list[Path]:
    """Return the folders in which an import may begin.

    An absolute one begins in the app's folder; where tests or tools put deeper folders on the path it may begin there,
    but a module there does not hide one of the standard library.
    """
    if level:
        return [path.parents[level - 1]] if level <= len(path.parents) else []
    if not path.is_relative_to(root) or (parts and parts[0] in sys.stdlib_module_names):
        return [root]
    return [root, *(folder for folder in reversed(path.parents) if folder != root and folder.is_relative_to(root))]
