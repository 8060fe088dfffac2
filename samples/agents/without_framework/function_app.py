"""An agent with no framework at all: the model is an HTTP endpoint, the loop an orchestration of twenty lines.

Any endpoint with OpenAI's chat completions will do: OPENAI_BASE_URL says where it is, OPENAI_API_KEY opens it. Without
a key the app asks itself: see `scripted_endpoint`.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from datetime import timedelta
from typing import Any

import azure.functions as func
import scripted_endpoint

import perdure_functions as df

app = df.DFApp()

Message = dict[str, Any]
"""A message, as OpenAI's chat completions have it."""

MOST_STEPS = 8
PATIENTLY = df.RetryPolicy(
    timedelta(seconds=1), max_number_of_attempts=5, backoff_coefficient=2, max_retry_interval=timedelta(minutes=1)
)

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "count_letters",
            "description": "Count how often a letter stands in a word.",
            "parameters": {
                "type": "object",
                "properties": {"word": {"type": "string"}, "letter": {"type": "string"}},
                "required": ["word", "letter"],
            },
        },
    }
]


@app.orchestration_trigger(context_name="context")
async def answer(context: df.OrchestrationContext, question: str) -> str:
    """Ask the model, do what it asks for, and so on until it has an answer."""
    messages: list[Message] = [
        {"role": "system", "content": "Count letters with the tool: you can't see them."},
        {"role": "user", "content": question},
    ]
    for _ in range(MOST_STEPS):
        reply = await context.call_activity(ask_model, messages, retry_policy=PATIENTLY)
        messages.append(reply)
        calls = reply.get("tool_calls") or []
        if not calls:
            return str(reply["content"])
        messages += await context.task_all([context.call_activity(use_tool, call) for call in calls])
    raise RuntimeError(f"no answer after {MOST_STEPS} steps")


@app.activity_trigger(input_name="messages")
def ask_model(messages: list[Message]) -> Message:
    """Call the model once. The key is read here, and is in no history.

    Being busy (408, 409, 429, 5xx) is worth another attempt, what the endpoint calls a mistake of ours is not.
    """
    body = {"model": os.environ.get("OPENAI_MODEL", "gpt-4.1-mini"), "messages": messages, "tools": TOOLS}
    request = urllib.request.Request(  # noqa: S310 - the address is a setting of the app
        os.environ["OPENAI_BASE_URL"].rstrip("/") + "/chat/completions",
        data=json.dumps(body).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}",
            "Idempotency-Key": df.activity_context().idempotency_key,
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310 - as above
            message: Message = json.load(response)["choices"][0]["message"]
            return message
    except urllib.error.HTTPError as error:
        problem = f"the model answered {error.code}: {error.read(1_000).decode(errors='replace')}"
        if error.code in {408, 409, 429} or error.code >= 500:  # noqa: PLR2004 - HTTP's server errors
            raise ConnectionError(problem) from error
        raise df.NonRetryableError(problem) from error


@app.activity_trigger(input_name="call")
def use_tool(call: dict[str, Any]) -> Message:
    """Run one tool call; the model is told what came out, or what is wrong with the call."""
    try:
        arguments = json.loads(call["function"]["arguments"])
        result = str(arguments["word"].count(arguments["letter"]))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        result = f"Error: {type(error).__name__}: {error}"
    return {"role": "tool", "tool_call_id": call["id"], "content": result}


@app.route(route="scripted/chat/completions", methods=["POST"])
async def complete(req: func.HttpRequest) -> func.HttpResponse:
    """The pretended model, at an endpoint of this app's own. Remove it when you have a real one."""
    return func.HttpResponse(
        json.dumps(await scripted_endpoint.completion(req.get_json())), mimetype="application/json"
    )
