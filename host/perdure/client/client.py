"""The client of a task hub. It works from anywhere the hub's storage can be reached; in a process that has a worker,
what it starts begins there at once.
"""

from __future__ import annotations

from perdure.client.sdk_names import SdkNames
from perdure.client.streams import Streams


class Client(SdkNames, Streams):
    """Starts and manages the orchestrations of a task hub.

    `Client.open` makes one from a connection; this constructor is for those who have a storage at hand.

    Args:
        storage: the hub's storage; whoever made it closes it.
        control_queues: how many control queues the hub has. All its workers must agree; a client may know of fewer
            (1 is always right), never of more.
        worker: this process's worker on the same storage: instances begin in it at once, and it knows the app's
            functions, so that a wrong name is noticed at the start.
        default_version: version of instances that are started without one.
        clock: source of time.
        new_id: source of ids.
    """
