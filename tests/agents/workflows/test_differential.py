"""A workflow means the same durably as in process: the same outputs, intermediate outputs and failures."""

from __future__ import annotations

import logging

import pytest

from perdure.agents.workflows import register_workflow
from perdure.client import Client
from tests.agents.workflows.comparing import in_order, in_process, intermediates_in, told_by, without_made_up
from tests.agents.workflows.corpus import EXAMPLES
from tests.agents.workflows.playing import answer_until_ended

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:agent_framework")


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("agent_framework").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("name", EXAMPLES)
async def test_durably_as_in_process(hub, name):
    example = EXAMPLES[name]
    expected = await in_process(example)
    definition = register_workflow(hub.registry, example.build(), types=example.types)
    await hub.add_worker()
    client = Client(hub.storage)
    instance_id = await hub.start(definition.orchestration, example.given)
    status = await answer_until_ended(client, instance_id, example)
    told = told_by(status)
    assert in_order(example, told.outputs) == in_order(example, expected.outputs)
    assert told.failure == expected.failure
    if expected.intermediates is not None:
        seen = [without_made_up(each) for each in intermediates_in(status.history or [])]
        assert sorted(seen, key=str) == sorted(expected.intermediates, key=str)
