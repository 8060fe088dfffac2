"""A tool that ends its process: the model is told that it failed, and the conversation goes on."""

from __future__ import annotations

import pytest

from tests.agents.test_agent_hosts import ask_json, deployment
from tests.hosts.deaths import outlive

__all__ = ["deployment"]


def ended_turn(host):
    """The answer to who asks for the result of the turn; None while there is none."""
    status, result = ask_json(host, "GET", "/api/agents/careless/sessions/s/runs/c")
    return None if status == 202 else (status, result)


@pytest.mark.parametrize(
    ("deployment", "how"),
    [("embedded", "exit"), pytest.param("azurite", "kill", marks=pytest.mark.azurite)],
    indirect=["deployment"],
)
def test_the_turn_of_a_tool_that_kills_ends_and_the_session_goes_on(deployment, how):
    asked = {"message": how, "session_id": "s", "correlation_id": "c", "wait_for_response": False}
    with deployment.host(invisibility=1, PACE="0.5") as running:
        running.wait_ready()
        assert ask_json(running, "POST", "/api/agents/careless/run", asked)[0] == 202
        running.wait_exit()
    status, result = outlive(deployment, ended_turn)
    assert (status, result["response"]) == (200, "told: Error: the tool failed.")
    # its deliveries are used up, and then it is tried by itself, see docs/adr/0015
    assert 5 <= deployment.ledger.read_text().count(f"leave {how}") <= 9
    with deployment.host(invisibility=1) as running:
        running.wait_ready()
        asked = {"message": "hello", "session_id": "s"}
        assert ask_json(running, "POST", "/api/agents/careless/run", asked)[1]["response"] == "heard hello"
        transcript = ask_json(running, "GET", "/api/agents/careless/sessions/s")[1]
        assert (transcript["turns"], transcript["message_count"]) == (2, 6)
        [failed] = [part for each in transcript["messages"] for part in each["contents"] if "exception" in part]
        assert "activity 'dafx-careless-tool' was begun 5 times and never came to an end" in failed["exception"]
