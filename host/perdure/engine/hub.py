"""The names of a task hub's queues."""

from __future__ import annotations

import zlib

from perdure.storage.limits import check_hub


class HubQueues:
    """Names of the queues of a hub.

    Args:
        hub: the hub's name; queue names hold it in lower case.
        control_queues: how many queues control messages are spread over; one takes about 2,000 messages a second.
    """

    def __init__(self, hub: str, control_queues: int = 1) -> None:
        check_hub(hub)
        name = hub.lower()
        self.control = [f"{name}-control" + (f"-{index}" if index else "") for index in range(control_queues)]
        self.work = f"{name}-workitems"

    def control_of(self, instance_id: str) -> str:
        """Return the queue for messages to this instance."""
        if len(self.control) == 1:
            return self.control[0]
        return self.control[zlib.crc32(instance_id.encode()) % len(self.control)]

    @property
    def all(self) -> list[str]:
        """Every queue that must exist."""
        return [*self.control, self.work]


def poison_queue(queue: str) -> str:
    """Return where the Functions host moves a message after its last delivery."""
    return f"{queue}-poison"
