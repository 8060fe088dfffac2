"""The runtime status of an instance."""

from enum import StrEnum


class OrchestrationRuntimeStatus(StrEnum):
    """Where an orchestration stands. Names and values are those of Durable Functions."""

    Running = "Running"
    Completed = "Completed"
    ContinuedAsNew = "ContinuedAsNew"
    Failed = "Failed"
    Canceled = "Canceled"
    Terminated = "Terminated"
    Pending = "Pending"
    Suspended = "Suspended"


ENDED = frozenset(
    {
        OrchestrationRuntimeStatus.Completed,
        OrchestrationRuntimeStatus.Failed,
        OrchestrationRuntimeStatus.Canceled,
        OrchestrationRuntimeStatus.Terminated,
    }
)
"""The statuses that an instance does not leave by itself."""
