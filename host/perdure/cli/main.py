"""The `perdure` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from perdure.cli.check import check
from perdure.cli.history import history
from perdure.cli.poison import poison
from perdure.cli.replay import replay
from perdure.cli.start import start
from perdure.errors import PerdureError

app = typer.Typer(
    name="perdure",
    help="Durable execution for Python.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("start")(start)
app.command("check")(check)
app.command("history")(history)
app.command("replay")(replay)
app.add_typer(poison, name="poison")


def _show_version(wanted: bool) -> None:
    if wanted:
        from perdure.local.version import installed_version

        typer.echo(f"perdure {installed_version()}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command line; exits the process. An error of ours is one line and a non-zero exit code."""
    try:
        app()
    except PerdureError as error:
        from perdure.local.logs import complain

        complain(str(error))
        sys.exit(getattr(error, "exit_code", 1))


if __name__ == "__main__":
    main()
