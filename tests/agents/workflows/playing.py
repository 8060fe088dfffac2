"""Plays an example on a task hub, the part of the people who answer included."""

from __future__ import annotations

import asyncio
import random

from perdure.client import Client
from perdure.client.status import DurableOrchestrationStatus
from tests.agents.workflows.corpus import Example


async def answer_until_ended(
    client: Client, instance_id: str, example: Example, *, pause: float = 0.02, dice: random.Random | None = None
) -> DurableOrchestrationStatus:
    """Answer what an instance asks, until it has ended."""
    sent: set[str] = set()  # what is asked again under the same id is another question
    while True:
        status = await client.get_status(instance_id, show_history=True, show_history_output=True)
        if status.runtime_status is not None and status.runtime_status.name in ("Completed", "Failed", "Terminated"):
            return status
        shown = status.custom_status or {}
        pending = shown.get("pendingHumanInputRequests", [])
        still_open = [(each["requestId"], each["requestData"]) for each in pending]
        if shown.get("state") == "IDLE_WITH_PENDING_REQUESTS" and not sent & {str(each) for each in still_open}:
            assert example.answers is not None
            for request_id, answer in example.answers(still_open):
                sent.update(str(each) for each in still_open if each[0] == request_id)
                await client.raise_event(instance_id, request_id, example.as_json(answer))
        await asyncio.sleep(pause if dice is None else dice.uniform(0, pause))
