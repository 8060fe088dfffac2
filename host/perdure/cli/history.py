"""`perdure history`: write an instance's recorded history."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from perdure.testing import RecordedHistory


def history(
    instance_id: Annotated[str, typer.Argument(help="The instance.")],
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write.", show_default="standard output")
    ] = None,
    app_dir: Annotated[
        Path, typer.Option("--app-dir", help="The Function app's folder.", show_default="the current folder")
    ] = Path(),
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="embedded|azurite",
            help="Where AzureWebJobsStorage points, as for perdure start.",
            show_default="the app's own setting",
        ),
    ] = None,
) -> None:
    """Write the history of an instance of the app's hub as JSON, for perdure replay and tests.

    The file holds the instance's data in clear. Nothing in the hub is changed.
    """
    from perdure.errors import InstanceNotFoundError
    from perdure.local.app_hub import loaded_app
    from perdure.local.errors import HostError
    from perdure.local.exit_codes import WRONG_USAGE

    target = output.resolve() if output is not None else None
    with loaded_app(app_dir, storage) as app:
        try:
            recorded = asyncio.run(_recorded(app, instance_id))
        except (InstanceNotFoundError, ValueError) as error:
            raise HostError(str(error), exit_code=WRONG_USAGE) from error
    if target is None:
        typer.echo(recorded.to_json())
        return
    try:
        recorded.save(target)
    except OSError as error:
        raise HostError(f"{output} can't be written: {error.strerror}.", exit_code=WRONG_USAGE) from error


async def _recorded(app: Any, instance_id: str) -> RecordedHistory:
    from perdure.local.app_hub import hub_of
    from perdure.testing import record_history

    async with hub_of(app) as storage:
        return await record_history(storage, instance_id)
