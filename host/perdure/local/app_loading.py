"""Importing function_app.py and finding the app in it."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from azure.functions import FunctionRegister

from perdure.errors import PerdureError
from perdure.local.app_folder import SCRIPT
from perdure.local.errors import HostError


def load_app(app_dir: Path) -> Any:
    """Import the app's function_app.py and return the one app that it binds to a module-level name.

    The folder goes to the front of `sys.path`, as in Azure's worker.

    Raises:
        HostError: It can't be imported, or does not bind exactly one name to an app.
    """
    sys.path.insert(0, str(app_dir))
    try:
        module = importlib.import_module(Path(SCRIPT).stem)
    except (Exception, SystemExit) as error:
        raise describe_user_error(error, app_dir) from error
    return _find_app(module)


def describe_user_error(error: BaseException, app_dir: Path) -> HostError:
    """Turn what the user's code raised while it was loaded into one line that names file and line."""
    if isinstance(error, PerdureError):
        return HostError(str(error))
    if isinstance(error, SyntaxError) and error.filename is not None:
        place = f"{_relative(error.filename, app_dir)}, line {error.lineno}"
        frames = tuple(traceback.format_exception_only(error))
        return HostError(f"{place}: {type(error).__name__}: {error.msg}.", frames=frames)
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(app_dir) and "site-packages" not in frame.filename
    ]
    place = f"{_relative(own[-1].filename, app_dir)}, line {own[-1].lineno}" if own else SCRIPT
    return HostError(
        f"{place}: {type(error).__name__}: {error}{_advice(error)}", frames=tuple(traceback.format_list(own))
    )


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f". Is it in requirements.txt, and installed for {sys.executable}?"
    return ""


def _relative(filename: str, app_dir: Path) -> str:
    path = Path(filename)
    return str(path.relative_to(app_dir)) if path.is_relative_to(app_dir) else filename


def _find_app(module: ModuleType) -> Any:
    found = {name: value for name, value in vars(module).items() if isinstance(value, FunctionRegister)}
    if not found:
        raise HostError(f"{SCRIPT} has no app. It must bind one module-level name to it: app = func.FunctionApp().")
    names = ", ".join(found)
    if len({id(app) for app in found.values()}) > 1:
        raise HostError(
            f"{SCRIPT} has several apps ({names}). Azure takes one: keep one, and make the others blueprints "
            "that it registers (app.register_functions)."
        )
    if len(found) > 1:
        raise HostError(f"{SCRIPT} binds the app to several names ({names}). Azure takes one: remove the others.")
    return next(iter(found.values()))
