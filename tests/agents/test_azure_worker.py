"""Azure's own Python worker runs an app of agents."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.azurite import ROOT
from tests.functions.azure_worker import AzureWorker, Message
from tests.storage.providers import new_hub

AGENTS = ROOT / "tests" / "agents"


@pytest.fixture
async def worker(tmp_path, monkeypatch):
    folder = tmp_path / "app"
    shutil.copytree(AGENTS / "app", folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(AGENTS / "models.py", folder / "scripted_models.py")
    monkeypatch.setenv("AzureWebJobsStorage", f"sqlite:///{tmp_path / 'store.db'}")
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__durableTask__hubName", new_hub())
    monkeypatch.setenv("MCP", "1")
    worker = AzureWorker(folder)
    await worker.start()
    yield worker
    await worker.stop()


async def test_an_app_of_agents(worker):
    assert worker.broken_rules() == []
    url = "https://app.example/api/agents/parrot/run"
    answer = await worker.http("http-parrot", "POST", f"{url}?session_id=s", {}, b"hi")
    assert (answer.status_code, answer.body.bytes) == ("200", b"hi (1)")
    url = "https://app.example/api/agents/parrot/sessions/s"
    answer = await worker.http("transcript-parrot", "GET", url, {"sessionId": "s"})
    assert json.loads(answer.body.bytes)["message_count"] == 2
    url = "https://app.example/api/agents/parrot/sessions/a%252Fb"
    for method, name in (("GET", "transcript-parrot"), ("DELETE", "forget-parrot")):
        answer = await worker.http(name, method, url, {"sessionId": "a%2Fb"})
        assert (answer.status_code, b"'%2F'" in answer.body.bytes) == ("400", True)


async def test_an_agent_is_a_tool(worker):
    [binding] = [json.loads(raw) for raw in worker.functions["mcptool-parrot"].raw_bindings if "mcp" in raw]
    assert binding["type"] == "mcpToolTrigger"
    assert (binding["toolName"], binding["description"]) == ("parrot", "Repeats what it hears.")
    properties = {each["propertyName"]: each["isRequired"] for each in json.loads(binding["toolProperties"])}
    assert properties == {"query": True, "sessionId": False}
    for number in (1, 2):
        call = Message(string=json.dumps({"arguments": {"query": "hello", "sessionId": "m"}}))
        response = await worker._invoke("mcptool-parrot", "context", call, {})
        assert response.return_value.string == f"hello ({number})"
    for arguments in ({}, {"query": 3}, {"query": " "}):
        with pytest.raises(AssertionError, match="tool 'parrot' needs a query"):
            await worker._invoke("mcptool-parrot", "context", Message(string=json.dumps({"arguments": arguments})), {})
    call = Message(string=json.dumps({"arguments": {"query": "hello"}}))
    with pytest.raises(AssertionError, match="no model today"):
        await worker._invoke("mcptool-broken", "context", call, {})
