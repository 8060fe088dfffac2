"""A pretended model that speaks OpenAI's chat completions. It counts letters: with the tool, as it is told."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

Json = dict[str, Any]


async def completion(request: Json) -> Json:
    """Answer a request; it takes STEP_SECONDS: time to look, or to kill the host."""
    await asyncio.sleep(float(os.environ.get("STEP_SECONDS", "0")))
    message = _message(request["messages"])
    reason = "tool_calls" if "tool_calls" in message else "stop"
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return {"id": "scripted", "object": "chat.completion", "model": request["model"], "choices": [choice]}


def _message(messages: list[Json]) -> Json:
    question = next(each["content"] for each in reversed(messages) if each["role"] == "user")
    *_, letter, _, word = question.rstrip("?.").split()
    results = [each["content"] for each in messages if each["role"] == "tool"]
    if results:
        return {"content": f"There are {results[-1]} letters '{letter}' in '{word}'."}
    arguments = json.dumps({"word": word, "letter": letter})
    call = {"id": "call-1", "type": "function", "function": {"name": "count_letters", "arguments": arguments}}
    return {"content": None, "tool_calls": [call]}
