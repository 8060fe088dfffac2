"""`perdure poison`: what could not be processed is listed, shown, sent again or discarded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from perdure.client import Client, PoisonMessage

T = TypeVar("T")

_NONE = "There are no poison messages."

poison = typer.Typer(
    help="Messages of the app's hub that could not be processed: list, show, retry, discard.", no_args_is_help=True
)

_AppDir = Annotated[
    Path, typer.Option("--app-dir", help="The Function app's folder.", show_default="the current folder")
]
_Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="embedded|azurite",
        help="Where AzureWebJobsStorage points, as for perdure start.",
        show_default="the app's own setting",
    ),
]
_Ids = Annotated[list[str] | None, typer.Argument(help="Ids of messages, as they are listed.")]
_All = Annotated[bool, typer.Option("--all", help="All of them, or all for the instance.")]
_Instance = Annotated[str | None, typer.Option("--instance", help="Only messages for this instance or entity.")]

_PAGE = 1_000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@poison.command("list")
def list_messages(
    *,
    instance: _Instance = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
    app_dir: _AppDir = Path(),
    storage: _Storage = None,
) -> None:
    """List what is parked, oldest first: id, time, kind, instance, reason."""
    found = _with_client(app_dir, storage, lambda client: _all(client, instance))
    if as_json:
        typer.echo(json.dumps([_content(message) for message in found], indent=2))
        return
    for message in found:
        time = "?" if message.parked_at is None else f"{message.parked_at:%Y-%m-%dT%H:%M:%SZ}"
        typer.echo(f"{message.id}  {time}  {message.kind}  {message.instance_id or '-'}  {message.reason}")
    if not found:
        typer.echo(_NONE, err=True)


@poison.command()
def show(
    message_id: Annotated[str, typer.Argument(help="Its id, as it is listed.")],
    *,
    app_dir: _AppDir = Path(),
    storage: _Storage = None,
) -> None:
    """Show a message with its text, as JSON. It may hold the instance's data in clear."""
    message = _with_client(app_dir, storage, lambda client: client.get_poison_message(message_id))
    typer.echo(json.dumps(_content(message) | {"body": message.body}, indent=2))


@poison.command()
def retry(
    message_ids: _Ids = None,
    *,
    every: _All = False,
    instance: _Instance = None,
    app_dir: _AppDir = Path(),
    storage: _Storage = None,
) -> None:
    """Send messages again, with as many deliveries as new ones have."""
    chosen = _chosen(message_ids, instance, every=every)
    _with_client(app_dir, storage, lambda client: _each(client, chosen, client.retry_poison_message, "sent again"))


@poison.command()
def discard(
    message_ids: _Ids = None,
    *,
    every: _All = False,
    instance: _Instance = None,
    app_dir: _AppDir = Path(),
    storage: _Storage = None,
) -> None:
    """Delete messages with their payloads. Whoever waits for what they say waits for ever."""
    chosen = _chosen(message_ids, instance, every=every)
    _with_client(app_dir, storage, lambda client: _each(client, chosen, client.discard_poison_message, "discarded"))


_Choice = Callable[["Client"], Awaitable[Sequence[str]]]


def _chosen(message_ids: list[str] | None, instance: str | None, *, every: bool) -> _Choice:
    """Return what finds out which messages are meant."""
    from perdure.local.errors import HostError
    from perdure.local.exit_codes import WRONG_USAGE

    if message_ids and every:
        raise HostError(
            "--all and ids exclude each other: leave --all out for these messages, or the ids for all of them (of one "
            "instance: --all --instance ID).",
            exit_code=WRONG_USAGE,
        )
    if not (message_ids or every) or (instance is not None and not every):
        raise HostError(
            "Say which messages: ids as 'perdure poison list' shows them, or --all, or --all --instance ID.",
            exit_code=WRONG_USAGE,
        )

    async def choose(client: Client) -> Sequence[str]:
        return message_ids or [message.id for message in await _all(client, instance)]

    return choose


async def _each(client: Client, chosen: _Choice, command: Callable[[str], Awaitable[PoisonMessage]], done: str) -> None:
    from perdure.errors import PoisonMessageNotFoundError
    from perdure.local.errors import HostError
    from perdure.local.exit_codes import WRONG_USAGE

    message_ids = await chosen(client)
    if not message_ids:
        typer.echo(_NONE, err=True)
    unknown: list[PoisonMessageNotFoundError] = []
    for message_id in message_ids:
        try:
            message = await command(message_id)
        except PoisonMessageNotFoundError as error:
            unknown.append(error)
        else:
            typer.echo(f"{message.id}  {message.kind}  {message.instance_id or '-'}  {done}")
    if unknown:
        raise HostError("\n".join(map(str, unknown)), exit_code=WRONG_USAGE)


async def _all(client: Client, instance: str | None) -> list[PoisonMessage]:
    found: list[PoisonMessage] = []
    continuation: str | None = None
    while True:
        page = await client.list_poison_messages(instance, top=_PAGE, continuation=continuation)
        found += page.messages
        continuation = page.continuation
        if continuation is None:
            return sorted(found, key=lambda message: message.parked_at or _LONG_AGO)


def _content(message: PoisonMessage) -> dict[str, Any]:
    return {
        "id": message.id,
        "kind": message.kind,
        "instanceId": message.instance_id,
        "reason": message.reason,
        "parkedTime": None if message.parked_at is None else message.parked_at.isoformat(),
        "queue": message.queue,
    }


def _with_client(app_dir: Path, storage: str | None, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
    from perdure.errors import PoisonMessageNotFoundError
    from perdure.local.app_hub import loaded_app
    from perdure.local.errors import HostError
    from perdure.local.exit_codes import WRONG_USAGE

    with loaded_app(app_dir, storage) as app:
        try:
            return asyncio.run(_on_hub(app, work))
        except PoisonMessageNotFoundError as error:
            raise HostError(str(error), exit_code=WRONG_USAGE) from error


async def _on_hub(app: Any, work: Callable[[Client], Awaitable[T]]) -> T:
    from perdure.client import Client
    from perdure.local.app_hub import hub_of

    async with hub_of(app) as storage:
        return await work(Client(storage, control_queues=app.runtime.settings.control_queues))
