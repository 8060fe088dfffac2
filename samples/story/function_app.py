"""A story is told word by word to whoever listens, from wherever they left off.

Each chapter is an activity that says its words into a durable stream as they occur to it. Close the page and open it
again, cut the network, kill the host: the story goes on where it was, no word is missing and none comes twice.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Generator
from typing import Any

import azure.functions as func

import perdure_functions as df

app = df.DFApp()

CHAPTERS = ("The Departure", "The Storm", "The Return")
WORD_SECONDS = float(os.environ.get("WORD_SECONDS", "0.1"))
WORDS = ("the", "sea", "was", "grey", "and", "a", "lamp", "burned", "low", "while", "nobody", "spoke", "of", "home")


@app.orchestration_trigger(context_name="context")
def tell_story(context: df.OrchestrationContext) -> Generator[df.Task[Any], Any, list[int]]:
    """Tell one chapter after the other; return how many words each has."""
    lengths = []
    for number, title in enumerate(CHAPTERS):
        last = number == len(CHAPTERS) - 1
        text = yield context.call_activity(tell_chapter, {"title": title, "last": last})
        lengths.append(len(text.split()))
    return lengths


@app.activity_trigger(input_name="chapter")
async def tell_chapter(chapter: dict[str, Any]) -> str:
    """Say a chapter into the stream, and return it whole."""
    async with df.activity_context().stream("words") as stream:
        if stream.finished:  # told to the end by a run whose process died right afterwards
            return str(stream.result)
        await stream.write(chapter["title"], event="chapter")
        said = []
        async for word in words_of_a_model():
            said.append(word)
            await stream.write(word)
        text = " ".join(said)
        if chapter["last"]:
            await stream.finish(text)
            return str(stream.result)
        return str(await stream.complete(text))


async def words_of_a_model() -> AsyncIterator[str]:
    """Stand in for the tokens of a language model: different ones each time."""
    for _ in range(30):
        await asyncio.sleep(WORD_SECONDS)
        yield random.choice(WORDS)  # noqa: S311 - a story is no secret


@app.route(route="stories/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def begin(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Begin a story under an id."""
    instance_id = await client.start_new("tell_story", req.route_params["id"])
    return client.create_check_status_response(req, instance_id)


@app.route(route="stories/{id}/words", methods=["GET"])
@app.durable_client_input(client_name="client")
async def listen(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Answer with the words that follow those which the listener has had."""
    try:
        return await client.create_stream_response(req, req.route_params["id"], "words")
    except df.InstanceNotFoundError as error:
        return func.HttpResponse(f"{error}\n", status_code=404)


@app.route(route="stories/{id}", methods=["GET"])
async def page(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - what is shown finds its id in its own URL
    """Show a page that listens."""
    return func.HttpResponse(PAGE, mimetype="text/html")


PAGE = """<!doctype html>
<meta charset="utf-8">
<title>A story</title>
<body style="max-width: 40em; margin: 3em auto; font-family: serif">
<script>
  const source = new EventSource(location.pathname.replace(/[/]$/, "") + "/words" + location.search)
  const said = []
  const say = (tag, event) => {
    const element = document.createElement(tag)
    element.textContent = JSON.parse(event.data) + " "
    said.push(document.body.appendChild(element))
  }
  source.onmessage = (event) => say("span", event)
  source.addEventListener("chapter", (event) => say("h2", event))
  source.addEventListener("restart", (event) => {
    for (const element of said.splice(-JSON.parse(event.data).superseded)) element.remove()
  })
  source.addEventListener("end", () => source.close())
</script>
"""
