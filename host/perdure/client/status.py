"""What a client tells of an instance. Names and shapes are those of Durable Functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

from perdure.core.status import OrchestrationRuntimeStatus

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class DurableOrchestrationStatus:
    """The status of an instance. It is falsy if there is no such instance.

    The constructor's names are the keys of the JSON form, so that tests can make one; clients do so for you. Any other
    keys become attributes of the same name.
    """

    def __init__(  # noqa: PLR0917 - the old constructor's parameters, in their order
        self,
        name: str | None = None,
        instanceId: str | None = None,  # noqa: N803 - Durable Functions' own name
        createdTime: datetime | str | None = None,  # noqa: N803
        lastUpdatedTime: datetime | str | None = None,  # noqa: N803
        input: Any = None,  # noqa: A002
        output: Any = None,
        runtimeStatus: OrchestrationRuntimeStatus | str | None = None,  # noqa: N803
        customStatus: Any = None,  # noqa: N803
        history: list[dict[str, Any]] | None = None,
        reason: str | None = None,
        **more: Any,
    ) -> None:
        self.name = name
        """Name of the orchestrator function."""
        self.instance_id = instanceId
        self.created_time = _time(createdTime)
        """When it was started: aware, UTC."""
        self.last_updated_time = _time(lastUpdatedTime)
        """When its last turn was committed: aware, UTC."""
        self.input_ = input
        """Its input, if it was asked for."""
        self.output = output
        """What it returned, or why it failed or was terminated; None before its end."""
        self.runtime_status = None if runtimeStatus is None else OrchestrationRuntimeStatus(runtimeStatus)
        self.custom_status = customStatus
        """What the orchestrator has shown last with `set_custom_status`."""
        self.history = history
        """Its history events, oldest first, if they were asked for."""
        self.reason = reason
        """Why it makes no progress, for people: it is blocked, or one of its messages could not be processed."""
        vars(self).update(more)

    def __bool__(self) -> bool:
        return self.created_time is not None

    def __repr__(self) -> str:
        if not self:
            return "<DurableOrchestrationStatus: no such instance>"
        return f"<DurableOrchestrationStatus of '{self.instance_id}' ('{self.name}'): {self.runtime_status}>"

    @classmethod
    def from_json(cls, json_obj: Mapping[str, Any] | str) -> Self:
        """Return the status that `to_json` wrote; from a text (what a server says of a missing one) a falsy status."""
        return cls(message=json_obj) if isinstance(json_obj, str) else cls(**json_obj)

    def to_json(self) -> dict[str, Any]:
        """Return it as a dictionary that has a JSON form; `reason` is in it only if there is one."""
        content: dict[str, Any] = {
            "name": self.name,
            "instanceId": self.instance_id,
            "createdTime": time_text(self.created_time),
            "lastUpdatedTime": time_text(self.last_updated_time),
            "output": self.output,
            "input": self.input_,
            "runtimeStatus": None if self.runtime_status is None else self.runtime_status.value,
            "customStatus": self.custom_status,
            "history": self.history,
        }
        return content if self.reason is None else content | {"reason": self.reason}


class PurgeHistoryResult:
    """How many instances a purge has deleted."""

    def __init__(self, instancesDeleted: int, **more: Any) -> None:  # noqa: N803 - Durable Functions' own name
        self.instances_deleted = instancesDeleted
        vars(self).update(more)

    def __repr__(self) -> str:
        return f"PurgeHistoryResult(instancesDeleted={self.instances_deleted})"

    @classmethod
    def from_json(cls, json_obj: Mapping[str, Any]) -> Self:
        """Return the result that `to_json` wrote."""
        return cls(**json_obj)

    def to_json(self) -> dict[str, Any]:
        """Return it as a dictionary that has a JSON form."""
        return {"instancesDeleted": self.instances_deleted}


def time_text(time: datetime | None) -> str | None:
    """Write a time (aware) as Durable Functions does: UTC, to the microsecond."""
    return None if time is None else time.astimezone(UTC).strftime(_TIME_FORMAT)


def _time(value: datetime | str | None) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is not None and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return value
