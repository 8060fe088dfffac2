"""The loop of an agent, written by hand: once as an orchestration, once as an entity.

Both ask the model, run the tools that it asks for, tell it what came out, and so on until it has an answer. Every call
of the model and of a tool is an activity: what is recorded is never asked for or done again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import azure.functions as func
from agent_framework import Content, FunctionTool, Message
from models import chat_client
from pydantic import BaseModel
from tools import TOOLS, assistant

import perdure_functions as df

app = df.DFApp()

INSTRUCTIONS = "You know how warm it is, and can reckon."
PATIENTLY = df.RetryPolicy(timedelta(seconds=1), max_number_of_attempts=4, backoff_coefficient=2)
MOST_STEPS = 8

Said = dict[str, Any]
"""A message, or a part of one, in the Agent Framework's JSON form."""


def user(text: str) -> Said:
    return {"role": "user", "contents": [{"type": "text", "text": text}]}


def text_of(said: Said) -> str:
    return "".join(part["text"] for part in said["contents"] if part["type"] == "text")


def calls_in(said: Said) -> list[Said]:
    return [part for part in said["contents"] if part["type"] == "function_call"]


# ---- the two kinds of step ------------------------------------------------------------------------------------------


@app.activity_trigger(input_name="messages")
async def ask_model(messages: list[Said]) -> Said:
    """Call the model once. Tools are only declared to it: what it asks for is for the loop to do."""
    conversation = [Message.from_dict({"type": "message", **each}) for each in messages]
    declared = [
        FunctionTool(name=each.name, description=each.description, func=None, input_model=each.parameters())
        for each in TOOLS.values()
    ]
    response = await chat_client(assistant).get_response(
        [Message(role="system", contents=[INSTRUCTIONS]), *conversation], options={"tools": declared}
    )
    return response.messages[-1].to_dict()


@app.activity_trigger(input_name="call")
async def use_tool(call: Said) -> Said:
    """Run one tool call. That its arguments make no sense is for the model to know; other errors are tried again."""
    tool = TOOLS.get(call["name"])
    try:
        arguments = Content.from_dict(call).parse_arguments() or {}
        result = "There is no such tool." if tool is None else str((await tool.invoke(arguments=arguments))[0].text)
    except (TypeError, ValueError) as error:
        result = f"Error: {error}"
    return {"type": "function_result", "call_id": call["call_id"], "result": result}


# ---- the loop as an orchestration: from a question to its answer ----------------------------------------------------


@app.orchestration_trigger(context_name="context")
async def answer(context: df.OrchestrationContext, question: str) -> str:
    """Loop until there is an answer. It reads like the loop of a script, and outlives every process."""
    messages = [user(question)]
    for step in range(MOST_STEPS):
        context.set_custom_status({"step": step})
        reply = await context.call_activity(ask_model, messages, retry_policy=PATIENTLY)
        messages.append(reply)
        calls = calls_in(reply)
        if not calls:
            return text_of(reply)
        tasks = [context.call_activity(use_tool, call, retry_policy=PATIENTLY) for call in calls]
        results = [await outcome(task, call) for task, call in zip(tasks, calls, strict=True)]
        messages.append({"role": "tool", "contents": results})
    raise RuntimeError(f"no answer after {MOST_STEPS} steps")


# ---- the loop as an entity: a conversation that takes more in while it works ----------------------------------------


class Conversation(BaseModel):
    """The state of an assistant."""

    messages: list[Said] = []
    inbox: list[Said] = []
    """What was said while it worked: the next call of the model has it."""
    working: str | None = None
    """The orchestration that does the step at hand."""


class Step(BaseModel):
    """Something slow that an assistant has done: the input of `do_step`."""

    key: str
    messages: list[Said] = []
    """What the model is asked ..."""
    calls: list[Said] = []
    """... or else tool calls to run."""


class Done(BaseModel):
    """What came of it."""

    by: str
    message: Said | None


@app.entity_trigger(context_name="context", expires_after=timedelta(days=1))
class Assistant(df.DurableEntity):
    """A conversation, and where it stands. Each operation takes no time: what is slow, an orchestration does."""

    state: Conversation

    def say(self, text: str) -> None:
        """Say something to it, whether it works or not."""
        self.state.inbox.append(user(text))
        if self.state.working is None:
            self._ask_model()

    def go_on(self, done: Done) -> None:
        """Take in what came of a step, and begin the next one."""
        if done.by != self.state.working:
            return  # of a step that was given up, or of a conversation that was forgotten
        self.state.working = None
        message = done.message or {"role": "assistant", "contents": [{"type": "text", "text": "I can't answer."}]}
        self.state.messages.append(message)
        calls = calls_in(message)
        if calls:
            self._begin(Step(key=self.entity_id.key, calls=calls))
        elif message["role"] == "tool" or self.state.inbox:
            self._ask_model()

    def _ask_model(self) -> None:
        self.state.messages += self.state.inbox
        self.state.inbox = []
        self._begin(Step(key=self.entity_id.key, messages=self.state.messages))

    def _begin(self, step: Step) -> None:
        self.state.working = self.schedule_new_orchestration("do_step", step)


@app.orchestration_trigger(context_name="context")
async def do_step(context: df.OrchestrationContext, step: Step) -> None:
    """Call the model or the tools, and tell the assistant."""
    message: Said | None
    if step.calls:
        tasks = [context.call_activity(use_tool, call, retry_policy=PATIENTLY) for call in step.calls]
        message = {
            "role": "tool",
            "contents": [await outcome(task, call) for task, call in zip(tasks, step.calls, strict=True)],
        }
    else:
        try:
            message = await context.call_activity(ask_model, step.messages, retry_policy=PATIENTLY)
        except df.TaskFailedError:
            message = None
    done = Done(by=context.instance_id, message=message)
    context.signal_entity(df.EntityId("Assistant", step.key), "go_on", done)


async def outcome(task: df.Task[Said], call: Said) -> Said:
    """Return a call's result: models want one for each call that they have made."""
    try:
        return await task
    except df.TaskFailedError as error:
        return {"type": "function_result", "call_id": call["call_id"], "result": f"Error: {error}"}


@app.route(route="assistants/{key}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def say(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Say something to an assistant: the body, plain text."""
    text = req.get_body().decode(errors="replace").strip()
    if not text:
        return func.HttpResponse("say something\n", status_code=400)
    await client.signal_entity(df.EntityId("Assistant", req.route_params["key"]), "say", text)
    return func.HttpResponse(status_code=202)


@app.route(route="assistants/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Tell what has been said, tool calls included."""
    assistant_id = df.EntityId("Assistant", req.route_params["key"])
    found = await client.read_entity_state(assistant_id, expected_type=Conversation)
    if not found:
        return func.HttpResponse("there is no such assistant\n", status_code=404)
    return func.HttpResponse(found.entity_state.model_dump_json(), mimetype="application/json")
