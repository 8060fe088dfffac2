"""What becomes of a start whose instance id is in use."""

from enum import StrEnum


class ReuseId(StrEnum):
    """Which instances give way to a new one of the same id.

    One of the same orchestrator that is still Pending never does: only its start message is sent again, so that a start
    that broke off may simply be repeated.
    """

    ENDED = "NonRunningStates"
    """Those that have ended; others raise InstanceExistsError. Durable Functions' name, and the default."""
    ANY = "AnyState"
    """All: one that runs is terminated first, its children with it. Durable Functions' name."""
    NEVER = "Never"
    """None: InstanceExistsError is raised even if the instance has ended."""
    EXISTING = "Existing"
    """None: the id is returned as if the instance that is there had been started now, whether it has ended or not."""
