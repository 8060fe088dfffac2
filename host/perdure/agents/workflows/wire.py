"""What travels between a workflow's orchestrator and its activities: plain JSON, described here.

The orchestrator looks at the shape only; the data of messages, states and requests, written by the codec, are opaque
to it.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

Json = Any
"""A value written by the codec."""


class Route(TypedDict):
    """Where one edge group leads a message."""

    group: int
    """The edge group's place in the workflow's list."""
    way: Literal["straight", "spread", "fan-in", "broken"]
    """straight: to one target. spread: to several, each apart. fan-in: into the group's buffer. broken: the group's
    condition or selection function raised."""
    targets: NotRequired[list[str]]
    error: NotRequired[list[str]]
    """The type of the exception and its text, if it raised."""


class Message(TypedDict):
    """A message that an executor sent, and where it goes. Without routes it goes nowhere, and its data are left out."""

    routes: list[Route]
    data: NotRequired[Json]


class Mark(TypedDict):
    """An event that says where supersteps begin and end."""

    type: Literal["superstep_started", "superstep_completed"]
    iteration: int
    """Number of the superstep, from 1."""


class Marking(TypedDict):
    """Input of the activity that tells of supersteps in which several executors work, or a wrapped workflow."""

    stream_to: str
    marks: list[Mark]


class Delivery(TypedDict):
    """One message (or input, or answer) handed to an executor."""

    kind: Literal["message", "input", "answer"]
    sources: list[str]
    data: Json
    request: NotRequired[Request]
    """What an answer answers."""
    result: NotRequired[NestedResult]
    """What the wrapped workflow made of it, for an executor that wraps one."""


class Request(TypedDict):
    """A request for information that has not been answered."""

    id: str
    executor: str
    data: Json
    """What is asked, to be handed back to the executor with the answer."""
    request_type: str
    response_type: Json
    """Type of the answer, written by the codec."""
    response_shown: str
    """The same for people."""
    human: NotRequired[Json]
    """How people are waited for, if it is an agent that asks: a HumanPolicy."""
    asked: NotRequired[int]
    """The superstep in which it was asked first: an id may be used again once it has been answered."""


class Emitted(TypedDict):
    """An event of a run, as the framework types them: output, intermediate, executor_invoked and so on."""

    type: str
    executor: NotRequired[str]
    data: NotRequired[Json]


class Outcome(TypedDict):
    """What one delivery led to, in the order in which it happened."""

    sent: list[Message]
    events: list[Emitted]
    requests: list[Request]
    shared: list[list[Any]]
    """Changes of the shared state: [key, value] for one that was set, [key] for one that was deleted."""


class Marks(TypedDict, total=False):
    """What an executor's activity tells of supersteps."""

    before: list[Mark]
    """What is told of supersteps before the executor's own events."""
    after: list[Mark]
    """What is told of them once it is done."""
    beyond: list[Mark]
    """What is told then if all that it sent goes nowhere: the framework has a superstep for that, too."""


class Work(TypedDict):
    """Input of an executor's activity: all that it receives in one superstep."""

    run: str
    """Names the run, the same for all its supersteps."""
    stream_to: str | None
    """The instance to whose stream events go; None for executors of a wrapped workflow."""
    deliveries: list[Delivery]
    state: Json
    shared: dict[str, Json]
    steps: NotRequired[Steps]
    """For executors whose agents run in mode `steps`."""
    marks: NotRequired[Marks]
    """For an executor that works alone in its superstep."""


class Steps(TypedDict):
    """What one activity of an executor may do, if its agents run in mode `steps`."""

    key: str
    """Names what the executor does in this superstep: the same for all its activities."""
    told: int
    """Events of the handlers that have been told before."""
    may_ask: NotRequired[bool]
    """Whether a model may be asked, once."""
    perform: NotRequired[str]
    """Key of the tool call to make; then the activity does nothing else."""
    answers: NotRequired[dict[str, Answer]]
    """What the orchestrator knows of tool calls, by their keys."""
    failed: NotRequired[list[str]]
    """The call of a model that comes next has failed at all its attempts: the exception's type and its text."""


class Answer(TypedDict, total=False):
    """What came of a tool call, if its activity has not stored it."""

    text: str
    """Result of an orchestration."""
    error: list[str]
    """Type and text of what was raised."""


class Need(TypedDict):
    """A call that an executor's handlers wait for."""

    call: str
    """Its key."""
    kind: Literal["model", "tool", "orchestration", "again"]
    """again: it is no call, but the handlers raised something."""
    name: NotRequired[str]
    """Of the tool, or of the orchestration that a tool stands for."""
    arguments: NotRequired[dict[str, Any]]
    """Of the orchestration."""


class Done(TypedDict):
    """Result of an executor's activity."""

    outcomes: list[Outcome]
    state: Json
    needs: NotRequired[list[Need]]
    """What has to be done before there are outcomes."""
    told: NotRequired[int]


class NestedResult(TypedDict):
    """What a run of a wrapped workflow leads to, until it is idle."""

    outputs: list[Json]
    intermediates: list[Json]
    requests: list[Request]
    """Those that are new."""
    pending: list[str]
    """Ids of the requests that were open before."""
    waiting: bool
    """Whether requests are open now."""


class NestedWork(TypedDict):
    """Input of the orchestration of a workflow that an executor wraps: what the executor receives in one superstep."""

    run: str
    stream_to: str | None
    """Where events of the executor go."""
    activity: str
    """The executor's activity, which hands on what the wrapped workflow leads to."""
    deliveries: list[Delivery]
    state: Json
    """Where the wrapped workflow stands; None before its first input."""
    shared: dict[str, Json]
    outcomes: list[Outcome]
    """Of the deliveries that are done."""
    entered: bool
    """Whether the first delivery has been handed to the wrapped workflow."""
    pending: list[str]
    """Ids of the requests that were open before it was."""
