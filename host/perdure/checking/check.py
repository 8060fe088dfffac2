"""The check itself: from files to findings."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from perdure.checking.body import Body
from perdure.checking.branches import find_replay_branches
from perdure.checking.calls import find_calls
from perdure.checking.codebase import Codebase, Module, app_root, syntax_finding
from perdure.checking.direct import find_direct_calls
from perdure.checking.excepts import find_broad_excepts
from perdure.checking.finding import Finding, Problem
from perdure.checking.folders import python_files
from perdure.checking.inference import Inference
from perdure.checking.orchestrators import Roles, find_roles
from perdure.checking.ordering import find_set_order
from perdure.checking.reach import Reach
from perdure.checking.results import find_unawaited
from perdure.checking.silencing import Ignores
from perdure.checking.state import find_shared_state
from perdure.checking.waiting import find_waiting

_FINDERS: tuple[Callable[[Body], Iterator[Problem]], ...] = (
    find_calls,
    find_direct_calls,
    find_waiting,
    find_unawaited,
    find_set_order,
    find_shared_state,
    find_replay_branches,
    find_broad_excepts,
)


def check_source(text: str, filename: str) -> list[Finding]:
    """Check the source of one module; what it imports is not looked at.

    Args:
        text: the source.
        filename: what findings call it.
    """
    try:
        module = Module(filename, text, None, None)
    except SyntaxError as error:
        return [syntax_finding(filename, error)]
    return _check([module], Codebase(), complete=[module])


def check_paths(paths: Iterable[Path]) -> list[Finding]:
    """Check files and all that is in folders, and the helpers that their orchestrators call in other files.

    Of a folder, virtual environments, hidden folders and tests are left out. Ignores that silence nothing are reported
    where the whole app was given; of files that were given alone, only where they are in functions that were looked at:
    orchestrators that were not given may need the others.

    Raises:
        OSError: a path does not exist or a folder can't be read.
    """
    codebase = Codebase()
    given: dict[Module, bool] = {}
    for path in paths:
        absolute = path.resolve(strict=True)
        folder = absolute if absolute.is_dir() else None
        for file in [absolute] if folder is None else python_files(folder):
            root = app_root(file, otherwise=folder or file.parent)
            module = codebase.load(file, root)
            if module is not None:
                whole = folder is not None and root.is_relative_to(folder)
                given[module] = given.get(module, False) or whole
    _load_imports(codebase)
    complete = [module for module, whole in given.items() if whole]
    return sorted([*_check(list(given), codebase, complete), *codebase.unreadable])


def check_app(script: Path) -> list[Finding]:
    """Check an app: the file that makes it, and every module of its own that it imports.

    Args:
        script: the app's function_app.py.

    Raises:
        OSError: it does not exist.
    """
    codebase = Codebase()
    absolute = script.resolve(strict=True)
    codebase.load(absolute, absolute.parent)
    _load_imports(codebase)
    return sorted([*_check(codebase.modules, codebase, codebase.modules), *codebase.unreadable])


def _load_imports(codebase: Codebase) -> None:
    """Load all that the modules import, until nothing new is found."""
    done = 0
    while done < len(codebase.modules):
        module = codebase.modules[done]
        done += 1
        for node in ast.walk(module.tree):
            match node:
                case ast.Import(names):
                    for alias in names:
                        codebase.find(module, alias.name)
                case ast.ImportFrom(name, names, level):
                    codebase.find(module, name or "", level)
                    for alias in names:
                        codebase.find(module, f"{name}.{alias.name}" if name else alias.name, level)
                case _:
                    pass


def _check(given: Sequence[Module], codebase: Codebase, complete: Collection[Module]) -> list[Finding]:
    inference = Inference(codebase)
    roles = Roles()
    for module in dict.fromkeys([*codebase.modules, *given]):
        find_roles(module, inference, roles)
    bodies = Reach(inference, roles).bodies(given)
    ignores = {
        module: Ignores(module) for module in dict.fromkeys([*given, *(body.function.module for body in bodies)])
    }
    found: dict[tuple[str, int, int, str], Finding] = {}
    for body in bodies:
        for finding in _findings(body, ignores[body.function.module]):
            found.setdefault((finding.file, finding.line, finding.column, finding.rule), finding)
    for module in given:
        spans = None if module in complete else _spans(module, bodies)
        for finding in ignores[module].unused(spans):
            found[finding.file, finding.line, finding.column, finding.message] = finding
    return sorted(found.values())


def _findings(body: Body, ignores: Ignores) -> Iterator[Finding]:
    module = body.function.module
    for find in _FINDERS:
        for problem in find(body):
            node = problem.node
            last_line = node.end_lineno if isinstance(node, ast.expr) else None
            if not ignores.silences(problem.rule, node.lineno, last_line or node.lineno):
                yield module.finding(node, problem.rule, _told(problem, body))


def _told(problem: Problem, body: Body) -> str:
    if body.is_orchestrator:
        return problem.message
    return f"{problem.message.removesuffix('.')} (orchestrator '{body.orchestrator}' runs this)."


def _spans(module: Module, bodies: Sequence[Body]) -> list[tuple[int, int]]:
    nodes = [body.function.node for body in bodies if body.function.module is module]
    return [(node.lineno, node.end_lineno or node.lineno) for node in nodes]
