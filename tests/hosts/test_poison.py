"""Functions that end their process: real hosts die of them, and everything else in the hub goes on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from perdure.client import Client
from perdure.core.status import ENDED
from perdure.engine.hub import HubQueues
from perdure.engine.parking import OWNER as PARKED
from perdure.engine.suspects import OWNER as ON_TRIAL
from tests.hosts.conftest import HOSTS, deployed
from tests.hosts.deaths import outlive

INNOCENT = [f"innocent-{number}" for number in range(12)]


@pytest.fixture(params=["embedded", pytest.param("azurite", marks=pytest.mark.azurite)])
def deployment(request, tmp_path):
    return deployed(HOSTS / "poison_app", request, tmp_path)


async def start_all(deployment):
    """Start everything while no host runs, so that one takes it all at once."""
    storage = deployment.storage()
    await storage.create()
    for queue in HubQueues(storage.hub).all:
        await storage.create_queue(queue)
    client = Client(storage)
    await client.start_new("doomed", "doomed")
    for place in (None, "queue"):
        await client.start_new("calls_killer", f"killer-{place}", place)
    for number, instance_id in enumerate(INNOCENT):
        await client.start_new("innocent", instance_id, number)
    await storage.close()


async def statuses(deployment):
    storage = deployment.storage()
    found = {status.instance_id: status for status in await Client(storage).get_status_all()}
    await storage.close()
    return found


async def left_over(deployment):
    """What is stored of messages that are parked or on trial."""
    storage = deployment.storage()
    found = [each for owner in (PARKED, ON_TRIAL) for each in await storage.list_payloads(owner)]
    await storage.close()
    return found


def settled_by_hosts(deployment, settled, stored):
    """Run hosts until all is settled and no trial goes on, with so much stored; return the statuses."""

    def outcome(_host):
        found = asyncio.run(statuses(deployment))
        return found if settled(found) and len(asyncio.run(left_over(deployment))) == stored else None

    return outlive(deployment, outcome)


def command(deployment, *arguments):
    """Run `perdure poison` as an operator does; return what it writes."""
    line = [sys.executable, "-m", "perdure.cli.main", "poison", *arguments, "--app-dir", str(deployment.folder)]
    environ = {**os.environ, "AzureWebJobsStorage": deployment.connection}
    return subprocess.run(line, capture_output=True, text=True, check=True, env=environ).stdout


def test_what_kills_its_process_ends_visibly_and_the_innocent_go_on(deployment):
    asyncio.run(start_all(deployment))
    found = settled_by_hosts(
        deployment,
        lambda found: all(each.runtime_status in ENDED or each.reason is not None for each in found.values()),
        stored=1,
    )
    assert [found[each].output for each in INNOCENT] == [[8 * number * 2, 2] for number in range(12)]
    for place in (None, "queue"):
        assert "activity 'killer' was begun 5 times and never came to an end" in found[f"killer-{place}"].output

    (message,) = json.loads(command(deployment, "list", "--json"))
    assert (message["kind"], message["instanceId"]) == ("Start", "doomed")
    assert message["id"] in found["doomed"].reason
    assert asyncio.run(left_over(deployment)) == [message["id"]]

    (deployment.folder / "mended").touch()
    command(deployment, "retry", message["id"])
    mended = settled_by_hosts(deployment, lambda found: found["doomed"].runtime_status in ENDED, stored=0)["doomed"]
    assert (mended.output, mended.reason) == ("mended", None)
    assert asyncio.run(left_over(deployment)) == []
