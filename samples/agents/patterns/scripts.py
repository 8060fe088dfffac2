"""What the agents say when they have no real model: a function each, of the conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent_framework import Message
from models import Script

Options = Mapping[str, Any]


def says(text: str) -> Script:
    """Return the script of an agent that always says the same."""
    return lambda _messages, _options: text


def outline(messages: Sequence[Message], _: Options) -> str:
    """Outline a topic; there is not much to say about nothing."""
    topic = messages[-1].text
    return "Nothing." if topic == "nothing" else f"What {topic} is\nWhat {topic} is good for\nWhat {topic} costs"


def write(messages: Sequence[Message], _: Options) -> str:
    """Write a sentence for each point."""
    return " ".join(f"It is very important to know: {line}." for line in messages[-1].text.splitlines())


def edit(messages: Sequence[Message], _: Options) -> str:
    """Leave out what says nothing."""
    return messages[-1].text.replace("It is very important to know: ", "")


def dispatch(messages: Sequence[Message], _: Options) -> str:
    """Look for a word that gives a request away."""
    words = messages[-1].text.casefold()
    about = "billing" if "bill" in words else "technology" if "router" in words else "anything else"
    return json.dumps({"about": about})


def review(reviewer: str) -> Script:
    """Return the script of a reviewer; each dislikes one word."""
    disliked = {"lawyer": "guarantee", "grammarian": "ain't", "sceptic": "always"}[reviewer]

    def script(messages: Sequence[Message], _: Options) -> str:
        approves = disliked not in messages[-1].text.casefold()
        return json.dumps({"approves": approves, "because": "it is fine" if approves else f"it says '{disliked}'"})

    return script


def plan(messages: Sequence[Message], _: Options) -> str:
    """Ask one question for each thing that is named."""
    return json.dumps({"questions": [f"What of {part.strip(' ?')}?" for part in messages[-1].text.split(",")]})


def work(messages: Sequence[Message], _: Options) -> str:
    """Answer, unless it can't be known."""
    question = messages[-1].text
    if "tomorrow" in question:
        raise LookupError("nobody knows what will be")
    return f"{question.removeprefix('What of ').removesuffix('?').capitalize()} is fine."


def report(messages: Sequence[Message], _: Options) -> str:
    """Put the answers together."""
    return " ".join(messages[-1].text.splitlines())


def slogan(messages: Sequence[Message], _: Options) -> str:
    """Say less each time: by what it has said before, which its session remembers."""
    tried = sum(message.role == "assistant" for message in messages)
    return " ".join(["Simply", "the", "best", "tea", "there", "is."][tried:])


def judge(messages: Sequence[Message], _: Options) -> str:
    """Accept four words at most."""
    good = len(messages[-1].text.split()) <= 4  # noqa: PLR2004 - see above
    return json.dumps({"good": good, "advice": "None." if good else "Make it shorter."})
