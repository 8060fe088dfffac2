"""Queue-triggered functions: one pump each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from perdure.local.catalog import LocalFunction
from perdure.local.conversions import queue_argument
from perdure.local.invocation import Invoker
from perdure.local.options import HostOptions
from perdure.local.outputs import Outputs
from perdure.local.queue_connections import DEFAULT_CONNECTION, QueueConnections, ensure_queue
from perdure.local.queue_pump import PumpOptions, QueuePump
from perdure.local.settings import QueueOptions
from perdure.storage.rows import QueueMessage


def pump_options(queues: QueueOptions, host: HostOptions) -> PumpOptions:
    """Return what host.json and the command line say about delivery."""
    threshold = queues.new_batch_threshold
    return PumpOptions(
        batch_size=queues.batch_size,
        new_batch_threshold=queues.batch_size // 2 if threshold is None else threshold,
        max_polling_interval=queues.max_polling_interval.total_seconds(),
        visibility_timeout=queues.visibility_timeout.total_seconds(),
        max_dequeue_count=queues.max_dequeue_count,
        invisibility=host.invisibility,
    )


class QueueTrigger:
    """Runs a queue-triggered function on messages.

    Args:
        function: The function.
        connections: Opens its queue.
        invoker: Runs it.
        outputs: Takes its outputs.
        options: How to deliver.

    Raises:
        HostError: The queue can't be resolved.
    """

    def __init__(
        self,
        function: LocalFunction,
        connections: QueueConnections,
        invoker: Invoker,
        outputs: Outputs,
        options: PumpOptions,
    ) -> None:
        self._queues, queue = connections.open(function.name, function.trigger)
        self._function = function
        self._invoker = invoker
        self._outputs = outputs
        self._invisibility = timedelta(seconds=options.invisibility)
        self.pump = QueuePump(self._queues, queue, self.run, options)

    async def prepare(self) -> None:
        """Create the queue if it is missing. Raises `HostError` if the store can't be reached."""
        connection = str(self._function.trigger.fields.get("connection") or DEFAULT_CONNECTION)
        await ensure_queue(self._queues, self.pump.queue, connection)

    async def run(self, message: QueueMessage) -> None:
        """Run the function on one message. Raises `InvocationError` if it fails."""
        annotation = self._function.annotations.get(self._function.trigger.name)
        await self._invoker.invoke(
            self._function,
            queue_argument(message, datetime.now(UTC) + self._invisibility, annotation),
            reason=f"New queue message detected on '{self.pump.queue}'.",
            finish=lambda outcome: self._outputs.send(self._function, outcome),
        )
