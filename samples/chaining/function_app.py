"""Chaining: an article is published step by step, and each step works on what the one before it has made.

Read the draft, make a page of it, put the page on the site, tell the subscribers.
"""

from __future__ import annotations

import html
import json
import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.functions as func

import perdure_functions as df
from perdure.errors import InstanceExistsError

app = df.DFApp()

DRAFTS = Path(__file__).parent / "drafts"
WORLD = Path(__file__).parent / ".perdure" / "world"
"""Files that stand for the outside: the web server and the mail service."""

PATIENTLY = df.RetryPolicy(
    timedelta(seconds=1), max_number_of_attempts=10, backoff_coefficient=2, max_retry_interval=timedelta(minutes=1)
)


@dataclass(frozen=True)
class Draft:
    """What an author has written."""

    slug: str
    title: str
    paragraphs: list[str]


@dataclass(frozen=True)
class Page:
    """What the web server shows."""

    slug: str
    markup: str


@app.route(route="articles/{slug}/publish", methods=["POST"])
@app.durable_client_input(client_name="client")
async def publish_article(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Start publishing. The instance bears the article's name, so nobody publishes it twice at once."""
    slug = req.route_params["slug"]
    try:
        instance_id = await client.start_new(publish, f"publish-{slug}", slug)
    except InstanceExistsError as error:
        return func.HttpResponse(f"{error}\n", status_code=409)
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def publish(context: df.OrchestrationContext, slug: str) -> Generator[Any, Any, str]:
    """Publish an article; return its address. After a crash it goes on behind the last step that was done."""
    draft = yield context.call_activity(read_draft, slug)
    page = yield context.call_activity(render, draft)
    address = yield context.call_activity(upload, page, retry_policy=PATIENTLY)
    yield context.call_activity(announce, f"{draft.title}: {address}")
    return str(address)


@app.activity_trigger(input_name="slug")
def read_draft(slug: str) -> Draft:
    """Read a draft. There is no use in trying again if there is none."""
    work()
    path = DRAFTS / f"{Path(slug).name}.md"
    if not path.is_file():
        raise df.NonRetryableError(f"there is no draft '{slug}'")
    title, *paragraphs = [part.strip() for part in path.read_text(encoding="utf-8").split("\n\n")]
    return Draft(path.stem, title.removeprefix("# "), paragraphs)


@app.activity_trigger(input_name="draft")
def render(draft: Draft) -> Page:
    """Make HTML of a draft."""
    work()
    body = "\n".join(f"<p>{html.escape(paragraph)}</p>" for paragraph in draft.paragraphs)
    return Page(draft.slug, f"<title>{html.escape(draft.title)}</title>\n{body}\n")


@app.activity_trigger(input_name="page")
def upload(page: Page) -> str:
    """Put a page on the site: here the real thing would talk to a web server. Uploading it twice does no harm."""
    work()
    if (WORLD / "maintenance").exists():
        raise ConnectionError("the web server is being maintained")
    path = WORLD / "site" / f"{page.slug}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.markup, encoding="utf-8")
    return f"https://site.example/{path.name}"


@app.activity_trigger(input_name="news")
def announce(news: str) -> None:
    """Tell the subscribers: here the real thing would call a mail service.

    A mail can't be taken back, and a step may run once more if its process dies just before its result is recorded. So
    the service is told the call's key, the same in every run, and drops what it has sent already.
    """
    work()
    sent = WORLD / "sent.jsonl"
    sent.parent.mkdir(parents=True, exist_ok=True)
    sent.touch()
    key = df.activity_context().idempotency_key
    if key not in [json.loads(line)["key"] for line in sent.read_text(encoding="utf-8").splitlines()]:
        with sent.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "news": news}) + "\n")


def work() -> None:
    """Take as long as the setting STEP_SECONDS says, so that there is time to look, or to kill the host."""
    time.sleep(float(os.environ.get("STEP_SECONDS", "0")))
