"""The queue-triggered functions that an app gets: the host delivers the hub's messages to them.

A function that returns lets the host delete the message; one that raises lets it deliver the message again after
`visibilityTimeout`, and move it to the queue's poison queue after `maxDequeueCount` deliveries (host.json,
`extensions.queues`).
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress

import azure.functions as func

from perdure.engine.hub import HubQueues, poison_queue
from perdure_functions.runtime import Runtime

_ARGUMENT = "msg"
_CONTROL = "perdure-control"
_WORK = "perdure-workitems"

Deliver = Callable[[func.QueueMessage], Awaitable[None]]


def add_queue_functions(container: func.Blueprint, runtime: Runtime) -> list[str]:
    """Add the functions to a container; return their names.

    Each queue function is a scale group of its own on Flex Consumption, so there are no more than needed.
    """
    settings = runtime.settings
    deliveries = _Deliveries(runtime)
    queues = HubQueues(settings.hub, settings.control_queues)
    functions: list[tuple[str, str, Deliver]] = []
    for index, queue in enumerate(queues.control):
        name = f"{_CONTROL}-{index}" if index else _CONTROL
        functions.append((name, queue, deliveries.control))
        functions.append((f"{name}-poison", poison_queue(queue), deliveries.poisoned_control))
    functions.append((_WORK, queues.work, deliveries.work))
    functions.append((f"{_WORK}-poison", poison_queue(queues.work), deliveries.poisoned_work))
    for name, queue, deliver in functions:
        _add(container, name, queue, settings.connection, deliver)
    return [name for name, _, _ in functions]


def _add(container: func.Blueprint, name: str, queue: str, connection: str, deliver: Deliver) -> None:
    async def on_message(msg: func.QueueMessage) -> None:
        await deliver(msg)

    trigger = container.queue_trigger(arg_name=_ARGUMENT, queue_name=queue, connection=connection)
    container.function_name(name)(trigger(on_message))


class _Deliveries:
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def control(self, message: func.QueueMessage) -> None:
        worker = await self._runtime.worker()
        await worker.handle_control(_body(message), message.id or "", message.dequeue_count or 1)

    async def work(self, message: func.QueueMessage) -> None:
        worker = await self._runtime.worker()
        await worker.handle_work(_body(message), message.dequeue_count or 1)

    async def poisoned_control(self, message: func.QueueMessage) -> None:
        worker = await self._runtime.worker()
        await worker.handle_suspect_control(_body(message), message.id or "", message.dequeue_count or 1)

    async def poisoned_work(self, message: func.QueueMessage) -> None:
        worker = await self._runtime.worker()
        await worker.handle_suspect_work(_body(message), message.id or "", message.dequeue_count or 1)


def _body(message: func.QueueMessage) -> str:
    """Return the text. Ours are JSON arrays, and in base64 where the host, told that queues hold plain text
    (`messageEncoding` none), has not decoded them. What is neither is for the worker to refuse.
    """
    body = message.get_body()
    if not body.startswith(b"["):
        with suppress(ValueError):
            decoded = base64.b64decode(body, validate=True)
            if decoded.startswith(b"["):
                body = decoded
    return body.decode(errors="backslashreplace")
