"""Which answer to a request counts: exactly one of all that are given, unless its time is over first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perdure.agents.answers import settle
from perdure.agents.workflows.requests import accepted, settling_name
from perdure.client import Client
from perdure.engine.registry import activity_context


async def accept(client: Client, instance_id: str, asked: Mapping[str, Any], answer: Any) -> tuple[bool, bool]:
    """Answer a request, unless it has been answered.

    Args:
        client: of the hub.
        instance_id: the run.
        asked: the request as it stands in the instance's status.
        answer: JSON that fits it.

    Returns:
        Whether this answer counts; and whether the request's time was over before any came.

    Raises:
        InstanceNotFoundError: there is no such run.
        InstanceEndedError: it has ended.
    """
    settled = await settle(client, instance_id, settling_name(asked), {"answer": answer})
    if settled.answer is not None:  # whoever was first may have died before the run was told
        await client.raise_event(instance_id, asked["requestId"], accepted(asked, settled.answer["answer"]))
    return settled.by_this, settled.answer is None


async def close(request: str) -> dict[str, Any] | None:
    """What an activity does when a request's time is over: from now on no answer is accepted.

    Args:
        request: what stands for the request, see `settling_name`.

    Returns:
        The answer that was accepted in time, if there is one, as `{"answer": ...}`.
    """
    context = activity_context()
    if context.desk is None:
        raise LookupError("requests are closed only in an activity that a worker runs")
    return (await settle(Client(context.desk.storage), context.instance_id, request, None)).answer
