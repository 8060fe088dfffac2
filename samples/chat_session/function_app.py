"""A chat session: what was said is an entity's state, and what answers is an orchestration that the entity starts.

An entity performs one operation at a time, so it does not wait for a slow model itself. It takes a question in, has an
orchestration get the answer, and takes more questions in meanwhile; those are answered next, together.
"""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from typing import Annotated, Literal

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import perdure_functions as df

app = df.DFApp()


class Question(BaseModel):
    """What somebody asks."""

    text: Annotated[str, Field(min_length=1, max_length=2_000)]


class Said(BaseModel):
    """One message of a conversation."""

    by: Literal["user", "assistant"]
    text: str
    at: datetime


class Conversation(BaseModel):
    """The state of a session."""

    messages: list[Said] = []
    answering: str | None = None
    """The orchestration that gets the next answer ..."""
    known: int = 0
    """... and how many of the messages it knows."""


class Thread(BaseModel):
    """The input of `reply`."""

    session: str
    messages: list[Said]


class Answer(BaseModel):
    """What comes of it."""

    by: str
    """Id of the orchestration."""
    text: str


# ---- the session --------------------------------------------------------------------------------------------------


@app.entity_trigger(context_name="context", expires_after=timedelta(minutes=30))
class ChatSession(df.DurableEntity):
    """A conversation. When nothing has been said for half an hour it is forgotten."""

    state: Conversation

    def ask(self, question: Question) -> None:
        """Take a question in."""
        self._say("user", question.text)
        if self.state.answering is None:
            self._get_answer()

    def answer(self, answer: Answer) -> None:
        """Take an answer in; if somebody has asked on meanwhile, get the next one."""
        if self.entity_context.is_newly_constructed:
            self.delete()  # the session has been forgotten: no new one is to begin with an answer
        elif answer.by == self.state.answering:
            asked_on = len(self.state.messages) > self.state.known
            self._say("assistant", answer.text)
            self.state.answering = None
            if asked_on:
                self._get_answer()

    def _say(self, by: Literal["user", "assistant"], text: str) -> None:
        self.state.messages.append(Said(by=by, text=text, at=self.entity_context.current_utc_datetime))

    def _get_answer(self) -> None:
        """Start an orchestration. It begins if this operation succeeds, and then once."""
        thread = Thread(session=self.entity_id.key, messages=self.state.messages)
        self.state.known = len(self.state.messages)
        self.state.answering = self.schedule_new_orchestration("reply", thread)


@app.orchestration_trigger(context_name="context")
async def reply(context: df.OrchestrationContext, thread: Thread) -> str:
    """Have the model answer, and tell the session."""
    try:
        policy = df.RetryPolicy(timedelta(seconds=0.5), max_number_of_attempts=3)
        text = await context.call_activity(complete, thread.messages, retry_policy=policy)
    except df.TaskFailedError:
        text = "I can't answer at present. Ask me again later."
    session = df.EntityId("ChatSession", thread.session)
    context.signal_entity(session, "answer", Answer(by=context.instance_id, text=text))
    return text


@app.activity_trigger(input_name="messages")
def complete(messages: list[Said]) -> str:
    """Continue a conversation. Here the real thing would call a language model; this one thinks longer over longer
    questions, and "break" breaks it.
    """
    questions = [message.text for message in messages if message.by == "user"]
    if "break" in questions[-1]:
        raise ConnectionError("the model does not answer")
    time.sleep(min(len(questions[-1]), 100) / 100)
    return f"You have asked {len(questions)} questions; the last one was: {questions[-1]}"


# ---- the API ------------------------------------------------------------------------------------------------------


@app.route(route="sessions/{session}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def ask(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Ask something; the body is a `Question`. The first one begins the session."""
    try:
        question = Question.model_validate_json(req.get_body())
    except ValidationError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    await client.signal_entity(df.EntityId("ChatSession", req.route_params["session"]), "ask", question)
    return func.HttpResponse(status_code=202)


@app.route(route="sessions/{session}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Tell what has been said."""
    entity = df.EntityId("ChatSession", req.route_params["session"])
    found = await client.read_entity_state(entity, expected_type=Conversation)
    if not found:
        return func.HttpResponse("there is no such session\n", status_code=404)
    return func.HttpResponse(found.entity_state.model_dump_json(), mimetype="application/json")


@app.route(route="sessions", methods=["GET"])
@app.durable_client_input(client_name="client")
async def list_sessions(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:  # noqa: ARG001 - the host hands it over
    """Tell which sessions there are, and when something was said in each."""
    page = await client.list_entities("ChatSession", top=1_000)
    sessions = {each.id.key: each.last_modified.isoformat() for each in page}
    return func.HttpResponse(json.dumps(sessions), mimetype="application/json")


@app.route(route="sessions/{session}", methods=["DELETE"])
@app.durable_client_input(client_name="client")
async def forget(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Forget a session."""
    await client.delete_entity(df.EntityId("ChatSession", req.route_params["session"]))
    return func.HttpResponse(status_code=202)
