"""Entities on two real hosts: exact totals, money that is conserved through `kill -9`, order without repeats."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from perdure.client import Client
from perdure.core.entity_id import EntityId
from tests.hosts.conftest import HOSTS, deployed
from tests.hosts.test_kill import wait_completed
from tests.local.running_host import wait_until

ACCOUNTS = [str(number) for number in range(10)]


@pytest.fixture(params=["embedded", pytest.param("azurite", marks=pytest.mark.azurite)])
def deployment(request, tmp_path):
    return deployed(HOSTS / "entity_app", request, tmp_path)


def ask(deployment, question):
    """Ask a client of the hub."""

    async def asked():
        storage = deployment.storage()
        try:
            return await question(Client(storage))
        finally:
            await storage.close()

    return asyncio.run(asked())


def entities_of(deployment, name):
    async def question(client):
        page = await client.list_entities(name, include_state=True)
        return {entity.id.key: entity for entity in page}

    return ask(deployment, question)


def start_all(host, name, inputs):
    with ThreadPoolExecutor(8) as pool:
        paths = [f"/api/orchestrators/{name}?instanceId={name}-{number}" for number in range(len(inputs))]
        answers = list(pool.map(lambda each: host.request(each[0], each[1], "POST"), zip(paths, inputs, strict=True)))
    assert {status for status, _ in answers} == {202}
    return [f"{name}-{number}" for number in range(len(inputs))]


def outcomes_of(host):
    """Count the orchestrations that have ended by their statuses, in one request."""
    status, text = host.request("/api/durabletask/instances?runtimeStatus=Completed,Failed&top=1000&showInput=false")
    assert status == 200, text
    return Counter(each["runtimeStatus"] for each in json.loads(text))


def test_a_thousand_calls_on_five_counters_add_up(deployment):
    with deployment.host() as one, deployment.host() as two:
        one.wait_ready()
        two.wait_ready()
        for instance_id in start_all(one, "fifty_calls", ["null"] * 20):
            wait_completed(two, instance_id)
    assert {key: entity.state for key, entity in entities_of(deployment, "counter").items()} == dict.fromkeys(
        "01234", 200
    )


def test_money_is_conserved_through_kill_9(deployment):
    draw = random.Random(7)
    transfers = []
    for _ in range(120):
        source, target = draw.sample(ACCOUNTS, 2)
        transfers.append(f'["{source}", "{target}", {draw.randint(1, 300)}]')
    with deployment.host(invisibility=3) as staying:
        staying.wait_ready()
        with deployment.host(invisibility=3) as victim:
            victim.wait_ready()
            ids = start_all(victim, "transfer", transfers)
            wait_until(lambda: outcomes_of(staying).total() > 40, "a third", every=0.1)
            victim.signal(signal.SIGKILL)
            victim.wait_exit()
        wait_until(lambda: outcomes_of(staying).total() == len(ids), "all", seconds=120, every=0.2)
        outcomes = outcomes_of(staying)

        def unlocked():
            return all(entity.locked_by is None for entity in entities_of(deployment, "account").values())

        wait_until(unlocked, "the last release", every=0.1)
    accounts = entities_of(deployment, "account")
    assert sum(entity.state for entity in accounts.values()) == 1_000 * len(accounts)
    assert min(entity.state for entity in accounts.values()) >= 0
    assert {entity.backlog_queue_size for entity in accounts.values()} == {0}
    assert outcomes["Completed"] > 60
    assert outcomes["Failed"] > 5


def log_of(deployment, key):
    async def question(client):
        return (await client.read_entity_state(EntityId("log", key))).entity_state or []

    return ask(deployment, question)


def test_signals_are_taken_in_order_and_once_though_a_fifth_is_delivered_twice(deployment):
    with deployment.host(EVERY_FIFTH_TWICE="1") as one, deployment.host(EVERY_FIFTH_TWICE="1") as two:
        one.wait_ready()
        two.wait_ready()
        start_all(one, "thousand_signals", ["null"])
        status, _ = two.request("/api/told/200", "", "POST")
        assert status == 200
        wait_completed(two, "thousand_signals-0")
        wait_until(lambda: len(log_of(deployment, "ordered")) >= 1_000, "a thousand", every=0.1)
        wait_until(lambda: len(log_of(deployment, "told")) >= 200, "two hundred", every=0.1)
    assert log_of(deployment, "ordered") == list(range(1_000))
    assert log_of(deployment, "told") == list(range(200))
