"""Runs of a workflow as clients deal with them: started, looked at, answered, cancelled, followed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from perdure.agents.workflows.answering import accept
from perdure.agents.workflows.definition import WorkflowDefinition
from perdure.agents.workflows.errors import WorkflowInputError
from perdure.agents.workflows.events import STREAM
from perdure.agents.workflows.orchestrator import CONTINUED
from perdure.agents.workflows.requests import ANSWER_TYPE, ASKED, answer_as, kind_of
from perdure.client import Client, DurableOrchestrationStatus
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.errors import InstanceEndedError, InstanceNotFoundError, PerdureError
from perdure.storage.rows import InstanceQuery
from perdure.streaming import StreamPage

_GOING_ON = {
    OrchestrationRuntimeStatus.Pending,
    OrchestrationRuntimeStatus.Running,
    OrchestrationRuntimeStatus.Suspended,
    OrchestrationRuntimeStatus.ContinuedAsNew,
}

_PAGE = 100


class UnknownRequestError(PerdureError):
    """A run has never asked this, or not yet."""


class AnsweredRequestError(PerdureError):
    """A request has been answered already."""


class WorkflowRuns:
    """The runs of one workflow.

    Args:
        workflow: the workflow.
        client: of the hub.
    """

    def __init__(self, workflow: WorkflowDefinition, client: Client) -> None:
        self._workflow = workflow
        self._client = client

    async def start(self, given: Any, instance_id: str | None = None) -> str:
        """Start a run and return its instance id.

        Args:
            given: the input, as JSON: it is read as one of the types that the start executor takes.
            instance_id: of the run; None makes a new one.

        Raises:
            WorkflowInputError: the workflow's start executor takes no such input.
            InstanceExistsError: there is a run of this id that has not ended.
        """
        if isinstance(given, dict) and CONTINUED in given:
            raise WorkflowInputError(f"the input of a workflow can't have a key '{CONTINUED}'")
        self._workflow.check_input(given)
        return await self._client.start_new(self._workflow.orchestration, instance_id, given)

    async def status(self, instance_id: str) -> DurableOrchestrationStatus:
        """Return the status of a run. Raises InstanceNotFoundError for what is no run of this workflow."""
        status = await self._client.get_status(instance_id)
        if not status or status.name != self._workflow.orchestration:
            raise InstanceNotFoundError(f"workflow '{self._workflow.name}' has no run '{instance_id}'")
        return status

    async def pending(self, instance_id: str) -> list[dict[str, Any]]:
        """Return what a run waits to be told: `requestId`, `sourceExecutor`, `requestData`, `requestType` and
        `responseType` of each request. Raises InstanceNotFoundError.
        """
        return pending_of(await self.status(instance_id))

    async def respond(self, instance_id: str, request_id: str, answer: Any) -> None:
        """Answer a request. An answer that is accepted is the one that counts, unless the run is cancelled.

        Args:
            instance_id: the run.
            request_id: the request.
            answer: JSON that fits the type that the request asks for.

        Raises:
            InstanceNotFoundError: there is no such run.
            InstanceEndedError: the run has ended.
            AnsweredRequestError: the request has been answered, or has run out of time.
            UnknownRequestError: there is no such request.
            WorkflowResponseError: the answer does not fit.
        """
        asked = self._open_request(await self.status(instance_id), request_id)
        answer_as(asked, answer, self._workflow.codec)
        try:
            counts, is_late = await accept(self._client, instance_id, asked, answer)
        except (InstanceEndedError, InstanceNotFoundError):
            raise InstanceEndedError(_ended(instance_id, request_id)) from None
        if not counts:
            raise AnsweredRequestError(
                f"request '{request_id}' of run '{instance_id}' has "
                + ("run out of time: nobody's answer is taken any more" if is_late else "been answered already")
            )

    @staticmethod
    def _open_request(status: DurableOrchestrationStatus, request_id: str) -> dict[str, Any]:
        """Return a request as the status shows it. Raises what `respond` does."""
        instance_id = str(status.instance_id)
        shown: dict[str, Any] = status.custom_status if isinstance(status.custom_status, dict) else {}
        open_requests: dict[str, dict[str, Any]] = {
            each["requestId"]: each for each in shown.get("pendingHumanInputRequests", ())
        }
        if request_id in open_requests and not has_ended(status):
            return open_requests[request_id]
        if request_id in shown.get("answeredRequests", ()):
            raise AnsweredRequestError(f"request '{request_id}' of run '{instance_id}' has been answered already")
        if has_ended(status):
            raise InstanceEndedError(_ended(instance_id, request_id))
        raise UnknownRequestError(
            f"run '{instance_id}' has no open request '{request_id}'"
            + (f"; it has {', '.join(open_requests)}" if open_requests else "")
        )

    async def cancel(self, instance_id: str, reason: str = "cancelled") -> None:
        """End a run, and the runs of wrapped workflows with it, whatever they are at.

        Raises:
            InstanceNotFoundError: there is no such run.
            InstanceEndedError: it has ended.
        """
        status = await self.status(instance_id)
        if has_ended(status):
            raise InstanceEndedError(f"run '{instance_id}' has ended already: there is nothing to cancel")
        await self._client.terminate(instance_id, reason)

    async def events(self, instance_id: str, *, cursor: str | None = None, wait: float = 0) -> StreamPage:
        """Return the events of a run that follow a cursor; see `Client.read_stream`.

        Args:
            instance_id: the run.
            cursor: that of the last event that the caller has had; None begins at the beginning.
            wait: seconds to wait for an event if there is none yet.

        Raises:
            InstanceNotFoundError: there is no such run.
            ValueError: the cursor is none.
        """
        await self.status(instance_id)
        return await self._client.read_stream(instance_id, STREAM, cursor=cursor, wait=wait)


def pending_of(status: DurableOrchestrationStatus) -> list[dict[str, Any]]:
    """Return the requests that a status shows."""
    shown = status.custom_status if isinstance(status.custom_status, dict) else {}
    return [
        {key: value for key, value in each.items() if key not in {ANSWER_TYPE, ASKED}}
        for each in shown.get("pendingHumanInputRequests", ())
    ]


def _ended(instance_id: str, request_id: str) -> str:
    return f"run '{instance_id}' has ended: it takes no answer to request '{request_id}'"


async def open_requests(client: Client, workflows: Iterable[WorkflowDefinition]) -> AsyncIterator[dict[str, Any]]:
    """Tell what all runs of some workflows wait to be told. Looks at every orchestration of the hub that is running.

    Args:
        client: of the hub.
        workflows: the workflows.
    """
    names = {each.orchestration: each.name for each in workflows}
    wanted = InstanceQuery(statuses=(OrchestrationRuntimeStatus.Running, OrchestrationRuntimeStatus.Suspended))
    continuation: str | None = None
    while names:
        page = await client.query(wanted, top=_PAGE, continuation=continuation)
        for status in page.instances:
            workflow = names.get(str(status.name))
            for each in pending_of(status) if workflow is not None else ():
                yield {"workflow": workflow, "instanceId": status.instance_id, "kind": kind_of(each), **each}
        continuation = page.continuation
        if continuation is None:
            return


def has_ended(status: DurableOrchestrationStatus) -> bool:
    """Whether a run is over."""
    return status.runtime_status not in _GOING_ON
