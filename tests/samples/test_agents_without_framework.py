import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.functions.driving import content

QUESTION = "How many letters r in strawberry?"


class Endpoint(ThreadingHTTPServer):
    """An endpoint with OpenAI's chat completions: the sample's own script, before it some failures."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.failures = []
        self.requests = []
        self.complete = None
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        code = self.server.failures.pop(0) if self.server.failures else 200
        answer = {"error": {"message": "no"}} if code != 200 else asyncio.run(self.server.complete(body))
        written = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(written)))
        self.end_headers()
        self.wfile.write(written)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def endpoint():
    with Endpoint() as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield endpoint
        endpoint.shutdown()
        thread.join()


@pytest.fixture
async def sample(deploy, endpoint, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    edit = ("timedelta(seconds=1)", "timedelta(seconds=0.05)")
    sample = await deploy("agents/without_framework", edit, STEP_SECONDS="0", OPENAI_BASE_URL=endpoint.url)
    import scripted_endpoint

    endpoint.complete = scripted_endpoint.completion
    return sample


async def ask(sample):
    return await sample.ended(await sample.start_with("POST", "durabletask/orchestrators/answer", QUESTION))


async def test_a_question_is_answered(sample, endpoint):
    assert (await ask(sample))["output"] == "There are 3 letters 'r' in 'strawberry'."
    (path, headers, first), (_, _, second) = endpoint.requests
    assert (path, headers["Authorization"]) == ("/v1/chat/completions", "Bearer a-key")
    assert first["messages"][-1] == {"role": "user", "content": QUESTION}
    assert [each["role"] for each in second["messages"]] == ["system", "user", "assistant", "tool"]

    endpoint.requests.clear()
    endpoint.failures = [503, 429]
    assert (await ask(sample))["runtimeStatus"] == "Completed"
    keys = [headers["Idempotency-Key"] for _, headers, _ in endpoint.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]

    endpoint.requests.clear()
    endpoint.failures = [400]
    failed = await ask(sample)
    assert "the model answered 400" in failed["output"]
    assert len(endpoint.requests) == 1


async def test_the_key_is_in_no_history(sample):
    url = await sample.start_with("POST", "durabletask/orchestrators/answer", QUESTION)
    await sample.completed(url)
    assert "a-key" not in json.dumps(
        await sample.status(f"{url}?showHistory=true&showHistoryOutput=true&showInput=true")
    )


async def test_the_app_has_an_endpoint_of_its_own(sample):
    asked = {"model": "any", "messages": [{"role": "user", "content": QUESTION}]}
    answer = content(await sample.request("POST", "scripted/chat/completions", asked))
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "count_letters"
