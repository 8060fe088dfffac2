"""`perdure replay`: take recorded histories through the code of an app."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from perdure.engine.registry import Registry
    from perdure.testing import RecordedHistory


def replay(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files that perdure history has written.", show_default=False)
    ] = None,
    *,
    instances: Annotated[
        list[str] | None, typer.Option("--instance", help="Replay this instance of the app's hub.", metavar="ID")
    ] = None,
    running: Annotated[
        bool, typer.Option("--running", help="Replay all instances of the app's hub that have not ended.")
    ] = False,
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
    """Check that the app's orchestrators, as they are now, go on from recorded histories.

    Prints a line for each. Exits with 0 if all replay, 1 if one differs, 2 if one can't be found or read. Nothing in
    the hub is changed, and no activity is run.
    """
    from perdure.local.app_hub import loaded_app
    from perdure.local.errors import HostError
    from perdure.local.exit_codes import FAILED, WRONG_USAGE

    if not (files or instances or running):
        raise HostError("Say what to replay: files, --instance ID, or --running.", exit_code=WRONG_USAGE)
    histories = [_read(path) for path in files or []]
    with loaded_app(app_dir, storage) as app:
        if instances or running:
            histories += asyncio.run(_recorded(app, instances or [], running=running))
        counted: Counter[str] = Counter()
        for verdict, line in _replayed(app, histories):
            counted[verdict] += 1
            typer.echo(f"{verdict:<8} {line}")
    typer.echo(_summary(counted), err=True)
    raise typer.Exit(FAILED if counted["differs"] else 0)


def _replayed(app: Any, histories: Sequence[RecordedHistory]) -> Iterator[tuple[str, str]]:
    registry, settings = app.registry(), app.runtime.settings.engine
    for history in histories:
        yield _verdict(history, registry, settings)


def _verdict(history: RecordedHistory, registry: Registry, settings: Any) -> tuple[str, str]:
    from perdure.core.versions import may_run
    from perdure.testing import HistoryDiffers, assert_replays

    instance = history.instance
    about = f"{instance.instance_id} ({instance.name}" + (f", version {instance.version})" if instance.version else ")")
    mine = settings.default_version
    if mine is not None and not may_run(instance.version, mine, settings.version_match):
        return "skipped", f"{about}: this app has version {mine} and does not run it"
    try:
        assert_replays(history, registry)
    except HistoryDiffers as error:
        return "differs", f"{about}: {error.why}"
    return "ok", about


def _read(path: Path) -> RecordedHistory:
    from perdure.errors import DataError
    from perdure.local.errors import HostError
    from perdure.local.exit_codes import WRONG_USAGE
    from perdure.testing import RecordedHistory

    try:
        return RecordedHistory.load(path)
    except OSError as error:
        raise HostError(f"{path} can't be read: {error.strerror}.", exit_code=WRONG_USAGE) from error
    except DataError as error:
        raise HostError(str(error), exit_code=WRONG_USAGE) from error


async def _recorded(app: Any, instances: Sequence[str], *, running: bool) -> list[RecordedHistory]:
    from perdure.errors import InstanceNotFoundError
    from perdure.local.app_hub import hub_of
    from perdure.local.errors import HostError
    from perdure.local.exit_codes import WRONG_USAGE
    from perdure.testing import record_history
    from perdure.testing.waiting import unfinished_instances

    histories: list[RecordedHistory] = []
    async with hub_of(app) as storage:
        try:
            histories += [await record_history(storage, instance_id) for instance_id in instances]
        except (InstanceNotFoundError, ValueError) as error:
            raise HostError(str(error), exit_code=WRONG_USAGE) from error
        for instance_id in await unfinished_instances(storage) if running else []:
            if instance_id in instances:
                continue
            try:
                histories.append(await record_history(storage, instance_id))
            except InstanceNotFoundError:
                continue  # purged at this very moment
    return histories


def _summary(counted: Counter[str]) -> str:
    total = counted.total()
    if not total:
        return "Nothing to replay: no instance is unfinished."
    parts = ", ".join(f"{number} {verdict}" for verdict, number in sorted(counted.items(), reverse=True))
    return f"{total} {'history' if total == 1 else 'histories'}: {parts}."
