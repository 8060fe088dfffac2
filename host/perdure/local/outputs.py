"""Output bindings: which ones this host serves, and sending what functions put into them."""

from __future__ import annotations

from typing import Any

from perdure.local.catalog import RETURN, Binding, LocalFunction
from perdure.local.conversions import queue_bodies
from perdure.local.errors import HostError
from perdure.local.invocation import Outcome
from perdure.local.queue_connections import QueueConnections
from perdure.storage.protocol import QueueMissing, Queues

HTTP = "http"
QUEUE = "queue"


class Outputs:
    """The queue outputs of an app's functions.

    Args:
        connections: Opens their queues.
    """

    def __init__(self, connections: QueueConnections) -> None:
        self._connections = connections
        self._targets: dict[tuple[str, str], tuple[Queues, str]] = {}

    def prepare(self, function: LocalFunction) -> None:
        """Check the function's bindings and open the queues that it writes to.

        Raises:
            HostError: It uses a binding that this host does not serve, or names a queue that can't be resolved.
        """
        for binding in function.bindings:
            if binding is function.trigger:
                continue
            if not binding.is_output or binding.type not in {HTTP, QUEUE}:
                direction = "output" if binding.is_output else "input"
                raise HostError(
                    f"Function {function.name} has the {direction} binding {binding.name} of type {binding.type}, "
                    "which this host does not serve (it serves http and queue outputs). Use the service's own "
                    "library in the function, or run the app with `func start`."
                )
            if binding.type == QUEUE:
                self._targets[function.name, binding.name] = self._connections.open(function.name, binding)

    async def send(self, function: LocalFunction, outcome: Outcome) -> None:
        """Put what the function gave its queue outputs into their queues; a missing queue is created.

        Raises:
            ConversionError: A value does not fit a message.
            StorageError: The queue takes no message now.
        """
        for binding in function.bindings:
            value = _value(binding, outcome)
            if binding.is_output and binding.type == QUEUE and value is not None:
                queues, queue = self._targets[function.name, binding.name]
                for body in queue_bodies(value):
                    await _send(queues, queue, body)


def http_value(function: LocalFunction, outcome: Outcome) -> Any:
    """Return what the function gave its http output, None if nothing."""
    values = (_value(binding, outcome) for binding in function.bindings if binding.is_output and binding.type == HTTP)
    return next((value for value in values if value is not None), None)


def _value(binding: Binding, outcome: Outcome) -> Any:
    return outcome.value if binding.name == RETURN else outcome.outputs.get(binding.name)


async def _send(queues: Queues, queue: str, body: str) -> None:
    try:
        await queues.send(queue, body)
    except QueueMissing:
        await queues.create_queue(queue)
        await queues.send(queue, body)
