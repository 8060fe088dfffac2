"""`perdure start`: run the Function app in a folder."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from perdure.local.options import DEFAULT_PORT, HostOptions


def start(
    *,
    app_dir: Annotated[
        Path, typer.Option("--app-dir", help="The Function app's folder.", show_default="the current folder")
    ] = Path(),
    port: Annotated[
        int | None,
        typer.Option(
            "--port", "-p", min=0, max=65535, help="Port to listen on.", show_default="local.settings.json or 7071"
        ),
    ] = None,
    address: Annotated[str, typer.Option("--address", help="Address to listen on.")] = "127.0.0.1",
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="embedded|azurite",
            help="Where AzureWebJobsStorage points: a file under .perdure, or Azurite (started if none listens).",
            show_default="the app's own setting",
        ),
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload/--no-reload", help="Restart the functions when a file changes.")
    ] = True,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show more of what the host does.")] = False,
    invisibility: Annotated[
        float,
        typer.Option(
            "--invisibility",
            envvar="PERDURE_INVISIBILITY",
            min=1,
            max=604800,
            help="Seconds for which a queue message taken by a process that died stays hidden.",
        ),
    ] = 60,
    check: Annotated[
        bool,
        typer.Option(
            "--check/--no-check", envvar="PERDURE_CHECK", help="Warn of orchestrator code that breaks replay."
        ),
    ] = True,
) -> None:
    """Run the Function app in the current folder."""
    import os

    from perdure.local.app_folder import check_app_folder
    from perdure.local.exit_codes import FAILED, SECOND_INTERRUPT, START_FAILED
    from perdure.local.listening import bind
    from perdure.local.settings import read_local_settings
    from perdure.local.storage_choice import chosen_storage, parse_storage_choice

    folder = app_dir.resolve()
    check_app_folder(folder)
    set_port = read_local_settings(folder).host.port
    options = HostOptions(
        app_dir=folder,
        port=port if port is not None else DEFAULT_PORT if set_port is None else set_port,
        address=address,
        verbose=verbose,
        invisibility=invisibility,
        storage=parse_storage_choice(storage),
        check=check,
    )
    with bind(options.address, options.port) as bound, chosen_storage(options.storage, folder, os.environ):
        code = _run(options, bound, reload=reload)
    if code == SECOND_INTERRUPT:
        sys.stdout.flush()
        os._exit(code)  # a third Ctrl-C must not turn the end of the interpreter into a traceback
    raise typer.Exit(FAILED if code == START_FAILED else code)


def _run(options: HostOptions, bound: socket.socket, *, reload: bool) -> int:
    if not reload:
        from perdure.local.process import run_host

        return run_host(options, bound)
    from perdure.local.supervisor import Supervisor

    if sys.platform == "win32":
        bound.close()
        return Supervisor(options, None).run()
    return Supervisor(options, bound).run()
