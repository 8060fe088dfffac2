"""An app of agents: what it is told, and what functions it has."""

import re
from datetime import timedelta

import azure.functions as func
import pytest
from agent_framework import Agent, WorkflowBuilder

import perdure_functions as df
from tests.agents.models import ScriptedModel, says


def agent(name="w"):
    return Agent(ScriptedModel(says("a")), name=name)


def functions(app):
    return {function.get_function_name(): function for function in app.get_functions()}


def test_an_agent_gets_its_functions():
    app = df.agents.AgentFunctionApp(agents=[agent("Weather Man")])
    assert list(app.agents) == ["Weather Man"]
    registry = app.registry()
    assert "dafx-Weather Man" in registry.entities.all
    assert "dafx-Weather Man-turn" in registry.orchestrators.all
    assert {"dafx-Weather Man-model", "dafx-Weather Man-tool"} <= set(registry.activities.all)
    routes = {name: each.get_trigger() for name, each in functions(app).items()}
    assert routes["http-Weather-Man"].route == "agents/Weather Man/run"
    assert routes["http-Weather-Man"].auth_level == func.AuthLevel.FUNCTION
    assert {"health", "agent-requests", "stream-Weather-Man"} <= set(routes)
    assert not [name for name in routes if name.startswith("mcptool")]


def test_routes_can_be_left_out():
    app = df.agents.AgentFunctionApp(
        [agent("a")], enable_health_check=False, enable_http_endpoints=False, enable_mcp_tool_trigger=True
    )
    app.add_agent(agent("b"), enable_http_endpoint=True, enable_mcp_tool_trigger=False)
    names = {name for name in functions(app) if not name.startswith("perdure-")}
    assert {"mcptool-a", "http-b", "agent-requests"} <= names
    assert not names & {"http-a", "mcptool-b", "health"}


def test_options_of_the_app_hold_for_its_agents():
    app = df.agents.AgentFunctionApp([agent("a")], mode="steps", expires_after=None)
    app.add_agent(agent("b"), mode="turn")
    assert [each.mode for each in app._definitions.values()] == ["steps", "turn"]


def test_what_makes_no_sense_is_refused():
    app = df.agents.AgentFunctionApp([agent("Writer")])
    with pytest.raises(df.agents.AgentError, match="there is an agent 'Writer' already"):
        app.add_agent(agent("writer"))
    with pytest.raises(df.agents.AgentError, match="there is no agent 'critic' in this app; it has: Writer"):
        app.get_agent(None, "critic")
    with pytest.raises(df.agents.AgentError, match="an agent needs a name"):
        app.add_agent(Agent(ScriptedModel(says("a"))))
    with pytest.raises(df.agents.AgentError, match="max_poll_retries"):
        df.agents.AgentFunctionApp(max_poll_retries=0)
    with pytest.raises(df.agents.AgentError, match=r"'turm'"):
        app.add_agent(agent("x"), mode="turm")
    assert list(app.agents) == ["Writer"]
    assert not [name for name in functions(app) if name.endswith("-x")]


def test_importing_agents_needs_nothing_until_they_are_asked_for():
    import subprocess
    import sys

    code = "import sys, perdure_functions; print('agent_framework' in sys.modules, hasattr(perdure_functions, 'no'))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["False", "False"]
    code = "import sys; sys.modules['agent_framework'] = None; import perdure_functions as df; df.agents"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert shown.stderr.splitlines()[-1] == (
        "ImportError: perdure.agents needs the Agent Framework: pip install 'perdure[agents]'"
    )


def test_the_constructor_is_that_of_the_frameworks_host():
    """Its samples say `workflow=`, and some give the first arguments by their places."""
    first, second, third = (
        WorkflowBuilder(name=name, start_executor=agent(f"{name}-writer")).build()
        for name in ("first", "second", "third")
    )
    app = df.agents.AgentFunctionApp(
        [agent("w")],
        first,
        {"second": second, "other": third},
        func.AuthLevel.ANONYMOUS,
        False,
        False,
        5,
        0.5,
        True,
        None,
    )
    assert list(app.workflows) == ["first", "second", "other"]
    names = functions(app)
    assert names["mcptool-w"]
    assert not {"health", "http-w"} & set(names)
    assert {"dafx-first", "dafx-second", "dafx-other"} <= set(app.registry().orchestrators.all)
    app.add_agent(agent("w"), entity_id="scoped")
    assert list(app.agents) == ["w", "scoped"]


def test_agents_and_workflows_are_given_as_lists():
    flow = WorkflowBuilder(name="flow", start_executor=agent("writer")).build()
    for given in (agent("w"), "w", {"w": agent("w")}, agent):
        with pytest.raises(df.agents.AgentError, match=r"agents is a list: write agents=\[\.\.\.\], not"):
            df.agents.AgentFunctionApp(given)
    for given in (flow, "flow", lambda: flow):
        told = r"workflows is a list, or a dictionary by their names: write workflows=\[\.\.\.\], not"
        with pytest.raises(df.agents.AgentError, match=told):
            df.agents.AgentFunctionApp(workflows=given)
    assert list(df.agents.AgentFunctionApp(each for each in [agent("w")]).agents) == ["w"]


def test_an_option_that_is_none_is_refused_at_once():
    with pytest.raises(TypeError, match="AgentFunctionApp has no option 'expires_afer'"):
        df.agents.AgentFunctionApp(expires_afer=None)
    with pytest.raises(TypeError, match="AgentFunctionApp has no option 'entity_id'"):
        df.agents.AgentFunctionApp([agent()], entity_id="x")


POLICY = df.RetryPolicy(timedelta(seconds=1), max_number_of_attempts=2)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("expires_after", timedelta(0), "expires_after is a positive timedelta, or None"),
        ("expires_after", 14, "expires_after is a positive timedelta, or None"),
        ("max_transcript_bytes", "1", "max_transcript_bytes is a positive whole number"),
        ("max_transcript_bytes", 0, "max_transcript_bytes is a positive whole number"),
        ("max_transcript_bytes", True, "max_transcript_bytes is a positive whole number"),
        ("model_retry", 3, "model_retry is a RetryPolicy, or None"),
        ("tool_retry", 3, "tool_retry is a RetryPolicy, a RetryPolicy by each tool's name, or None"),
        ("tool_retry", {"add": 3}, "tool_retry is a RetryPolicy, a RetryPolicy by each tool's name, or None"),
        ("human", 5, "human is a HumanPolicy, or None"),
        ("compaction", 5, "compaction is a function, or None"),
        ("callback", 5, "callback has `on_streaming_response_update` and `on_agent_response`"),
    ],
)
def test_options_of_agents_are_refused_before_a_turn_is_paid_for(option, value, told):
    app = df.agents.AgentFunctionApp()
    with pytest.raises(df.agents.AgentError, match=re.escape(f"agent 'w': {told}, not {value!r}")):
        app.add_agent(agent(), mode="steps", **{option: value})
    app.add_agent(
        agent(), expires_after=None, model_retry=POLICY, tool_retry={"add": POLICY}, compaction=lambda said: said
    )


@pytest.mark.parametrize("given", ["x", print, None])
def test_what_is_no_agent_is_refused(given):
    with pytest.raises(df.agents.AgentError, match=r"is no agent.*`as_agent` makes one of an async function"):
        df.agents.AgentFunctionApp().add_agent(given, name="x")
