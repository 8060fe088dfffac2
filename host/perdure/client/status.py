"""What a client tells of an instance. Names and shapes are those of Durable Functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Self

from perdure.core.data import to_json
from perdure.core.failure import Failure
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.core.typed import read_as
from perdure.errors import PerdureError

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class OrchestrationFailedError(PerdureError):
    """An instance that was asked for its result has failed."""

    def __init__(self, message: str, failure_details: Failure | None) -> None:
        super().__init__(message)
        self.failure_details = failure_details
        """The failure, with its inner failures and properties."""


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
        tags: Mapping[str, str] | None = None,
        failure: Failure | None = None,
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
        self.tags = dict(tags or {})
        """The tags that it was started with."""
        self.failure_details = failure
        """Why it failed, with inner failures and properties; None if it has not."""
        vars(self).update(more)

    # ---- the Durable Task SDK's names ----------------------------------------------------------------------------

    @property
    def created_at(self) -> datetime | None:
        """When it was started: aware, UTC."""
        return self.created_time

    @property
    def last_updated_at(self) -> datetime | None:
        """When its last turn was committed: aware, UTC."""
        return self.last_updated_time

    @property
    def serialized_input(self) -> str | None:
        """Its input as JSON, if it was asked for."""
        return _serialized(self.input_)

    @property
    def serialized_output(self) -> str | None:
        """Its output as JSON."""
        return _serialized(self.output)

    @property
    def serialized_custom_status(self) -> str | None:
        """Its custom status as JSON."""
        return _serialized(self.custom_status)

    def get_input(self, expected_type: Any = None) -> Any:
        """Return its input, if it was asked for, read as a type. Raises DataError if it does not fit."""
        return read_as(self.serialized_input, expected_type, f"the input of instance '{self.instance_id}'")

    def get_output(self, expected_type: Any = None) -> Any:
        """Return its output, read as a type. Raises DataError if it does not fit."""
        return read_as(self.serialized_output, expected_type, f"the output of instance '{self.instance_id}'")

    def get_custom_status(self, expected_type: Any = None) -> Any:
        """Return its custom status, read as a type. Raises DataError if it does not fit."""
        what = f"the custom status of instance '{self.instance_id}'"
        return read_as(self.serialized_custom_status, expected_type, what)

    def raise_if_failed(self) -> None:
        """Raise OrchestrationFailedError if it has failed."""
        if self.runtime_status is OrchestrationRuntimeStatus.Failed:
            raise OrchestrationFailedError(
                f"instance '{self.instance_id}' ('{self.name}') failed: {self.output}", self.failure_details
            )

    # ---- truth, text, JSON ---------------------------------------------------------------------------------------

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
        """Return it as a dictionary that has a JSON form; `tags` and `reason` are in it only if there are any."""
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
        if self.tags:
            content["tags"] = self.tags
        return content if self.reason is None else content | {"reason": self.reason}


class PurgeHistoryResult:
    """How many instances a purge has deleted."""

    def __init__(self, instancesDeleted: int, **more: Any) -> None:  # noqa: N803 - Durable Functions' own name
        self.instances_deleted = instancesDeleted
        vars(self).update(more)

    @property
    def deleted_instance_count(self) -> int:
        """The Durable Task SDK's name of `instances_deleted`."""
        return self.instances_deleted

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


def _serialized(value: Any) -> str | None:
    return None if value is None else to_json(value)


def _time(value: datetime | str | None) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is not None and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return value
