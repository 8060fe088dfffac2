"""What a workflow becomes, and what is refused."""

from __future__ import annotations

import pytest
from agent_framework import Workflow, WorkflowBuilder, WorkflowExecutor

from perdure.agents import AgentError, DurableAgentDefinition
from perdure.agents.workflows import WorkflowRegistrationError, register_workflow
from perdure.engine.registry import Registry
from tests.agents.workflows import corpus
from tests.agents.workflows.corpus import Passes, Splits, inner
from tests.agents.workflows.scripted import agent


def test_an_orchestration_for_the_workflow_and_an_activity_for_each_executor():
    registry = Registry()
    definition = register_workflow(registry, corpus.chain())
    assert definition.orchestration == "dafx-chain"
    assert list(registry.orchestrators.all) == ["dafx-chain"]
    assert sorted(registry.activities.all) == [
        f"dafx-chain-{each}" for each in ("end", "p1", "p2", "splits", "superstep")
    ]


def test_wrapped_workflows_are_registered_too():
    registry = Registry()
    register_workflow(registry, corpus.wrapped_asking())
    assert sorted(registry.orchestrators.all) == ["dafx-deep-asking", "dafx-middle-asking", "dafx-wrapped-asking"]


def test_a_workflow_wrapped_twice_is_registered_once():
    start = Splits()
    one, other = (WorkflowExecutor(inner("shared"), id=each) for each in ("one", "other"))
    workflow = WorkflowBuilder(name="twice", start_executor=start).add_fan_out_edges(start, [one, other]).build()
    registry = Registry()
    register_workflow(registry, workflow)
    assert sorted(registry.orchestrators.all) == ["dafx-shared", "dafx-twice"]


def test_two_wrapped_workflows_of_one_name_are_refused():
    start = Splits()
    one, other = WorkflowExecutor(inner("same"), id="one"), WorkflowExecutor(corpus.asking_inner("same"), id="other")
    workflow = WorkflowBuilder(name="two", start_executor=start).add_fan_out_edges(start, [one, other]).build()
    with pytest.raises(WorkflowRegistrationError, match="an orchestrator named 'dafx-same'"):
        register_workflow(Registry(), workflow)


def test_a_wrapped_workflow_without_a_name_gets_one_of_its_place():
    start, unnamed = Splits(), Passes("p")
    wraps = WorkflowExecutor(WorkflowBuilder(start_executor=unnamed).add_edge(unnamed, Passes("q")).build(), id="wraps")
    workflow = WorkflowBuilder(name="outer", start_executor=start).add_edge(start, wraps).build()
    registry = Registry()
    register_workflow(registry, workflow)
    assert sorted(registry.orchestrators.all) == ["dafx-outer", "dafx-outer-wraps"]


def test_names_that_no_restart_would_find_again_are_refused():
    workflow = WorkflowBuilder(start_executor=Splits()).build()
    with pytest.raises(WorkflowRegistrationError, match=r"no name of its own.*WorkflowBuilder\(name=\.\.\.\)"):
        register_workflow(Registry(), workflow)
    assert register_workflow(Registry(), workflow, name="given").name == "given"


@pytest.mark.parametrize("name", ["a b", "1st", "a/b", "a" * 64, "ä"])
def test_names_that_no_url_can_hold_are_refused(name):
    with pytest.raises(WorkflowRegistrationError, match="a workflow can't be named"):
        register_workflow(Registry(), corpus.chain(), name=name)


def test_names_that_are_taken_are_refused_whatever_their_case():
    registry = Registry()
    register_workflow(registry, corpus.chain())
    with pytest.raises(WorkflowRegistrationError, match="workflow 'chain' has 'dafx-chain' already"):
        register_workflow(registry, corpus.loop(), name="CHAIN")


def test_executors_of_two_workflows_may_not_come_to_the_same_name():
    registry = Registry()
    one = WorkflowBuilder(name="a", start_executor=Splits("b-c")).build()
    register_workflow(registry, one)
    other = WorkflowBuilder(name="a-b", start_executor=Splits("c")).build()
    with pytest.raises(WorkflowRegistrationError, match="an activity named 'dafx-a-b-c', but workflow 'a' has"):
        register_workflow(registry, other)


def test_ids_that_no_activity_can_have_are_refused():
    workflow = WorkflowBuilder(name="long", start_executor=Splits("x" * 201)).build()
    with pytest.raises(WorkflowRegistrationError, match="has 201 characters, 200 are allowed"):
        register_workflow(Registry(), workflow)


@pytest.mark.parametrize("what", [None, "chain", lambda: None])
def test_what_is_no_workflow_is_refused(what):
    with pytest.raises(WorkflowRegistrationError, match="a workflow is a Workflow"):
        register_workflow(Registry(), what)


def test_agents_and_workflows_may_not_come_to_the_same_names():
    async def no_client():
        raise AssertionError

    def registered(registry: Registry) -> None:
        DurableAgentDefinition(agent("a"), no_client).register(registry)

    turn = "an orchestrator named 'dafx-a-turn'"
    registry = Registry()
    registered(registry)
    with pytest.raises(WorkflowRegistrationError, match=r"workflow 'A-turn' needs .*, but agent 'a' has 'dafx-a-turn'"):
        register_workflow(registry, corpus.chain(), name="A-turn")
    registry = Registry()
    register_workflow(registry, corpus.chain(), name="a-turn")
    with pytest.raises(AgentError, match=f"agent 'a' needs {turn}, but workflow 'a-turn' has"):
        registered(registry)
    registry = Registry()
    register_workflow(registry, WorkflowBuilder(name="a", start_executor=Splits("model")).build())
    with pytest.raises(AgentError, match="agent 'a' needs an activity named 'dafx-a-model', but workflow 'a' has"):
        registered(registry)


def test_a_workflow_wrapped_in_two_modes_is_refused():
    def wrapping(name: str) -> Workflow:
        wraps = WorkflowExecutor(WorkflowBuilder(name="shared", start_executor=agent("w")).build(), id="wraps")
        return WorkflowBuilder(name=name, start_executor=wraps).build()

    registry = Registry()
    register_workflow(registry, wrapping("one"))
    register_workflow(registry, wrapping("two"))
    with pytest.raises(WorkflowRegistrationError, match="an orchestrator named 'dafx-shared'"):
        register_workflow(registry, wrapping("three"), agent_mode="steps")
