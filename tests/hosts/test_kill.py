"""Hosts that are killed, and hosts that share a hub: real processes, real stores, `kill -9`."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from perdure.core.history import TaskCompleted
from perdure.engine.journal import Journal
from perdure.engine.settings import EngineSettings
from tests.local.running_host import wait_until


def entries(deployment):
    return [json.loads(line) for line in deployment.ledger.read_text(encoding="utf-8").splitlines()]


def status_of(host, instance_id):
    _, text = host.request(f"/api/durabletask/instances/{instance_id}")
    return json.loads(text)


def wait_completed(host, instance_id):
    last = {}

    def ended():
        last.update(status_of(host, instance_id))
        return last["runtimeStatus"] not in ("Pending", "Running")

    wait_until(ended, instance_id, every=0.1)
    status = last
    assert status["runtimeStatus"] == "Completed", status
    return status["output"]


async def committed(deployment, instance_id):
    """Idempotency keys of the activities whose results are in the instance's history."""
    storage = deployment.storage()
    journal = Journal(storage, instance_id, EngineSettings())
    await journal.load()
    await storage.close()
    events = [event for turn in journal.state.turns for event in turn.events]
    return {f"{instance_id}/{journal.execution}/{e.no}" for e in events if isinstance(e, TaskCompleted)}


def kill_in_the_middle(deployment, name, instance_id, after):
    """Start an instance, kill its host once `after` activities have begun; return what was committed by then."""
    with deployment.host(invisibility=3) as host:
        host.wait_ready()
        status, _ = host.request(f"/api/orchestrators/{name}?instanceId={instance_id}", "null", "POST")
        assert status == 202
        wait_until(lambda: len(entries(deployment)) >= after, f"{after} activities")
        host.signal(signal.SIGKILL)
        host.wait_exit()
    done = asyncio.run(committed(deployment, instance_id))
    assert 0 < len(done) < 50
    return done


def ran_again(deployment, before, done):
    return [key for key, *_ in entries(deployment)[before:] if key in done]


def test_a_chain_survives_kill_9(deployment):
    done = kill_in_the_middle(deployment, "twenty_steps", "chain", 9)
    before = len(entries(deployment))
    with deployment.host(invisibility=3) as host:
        host.wait_ready()
        assert wait_completed(host, "chain") == sum(range(20))
    assert ran_again(deployment, before, done) == []
    runs = Counter(key for key, *_ in entries(deployment))
    assert len(runs) == 20
    assert runs.total() <= 21, "more than the one step in flight was repeated"


def test_a_fan_out_survives_kill_9(deployment):
    done = kill_in_the_middle(deployment, "fifty_ways", "fan", 20)
    before = len(entries(deployment))
    with deployment.host(invisibility=3) as host:
        host.wait_ready()
        assert wait_completed(host, "fan") == sum(n * n for n in range(50))
    assert ran_again(deployment, before, done) == []
    assert len({key for key, *_ in entries(deployment)}) == 50


def test_two_hosts_share_two_hundred_orchestrations(deployment):
    ids = [f"shared-{number}" for number in range(200)]
    with deployment.host() as one, deployment.host() as two:
        one.wait_ready()
        two.wait_ready()
        with ThreadPoolExecutor(8) as pool:
            start = "/api/orchestrators/shared?instanceId={}"
            answers = list(pool.map(lambda n: one.request(start.format(ids[n]), str(n), "POST"), range(200)))
        assert {status for status, _ in answers} == {202}
        outputs = [wait_completed(two, instance_id) for instance_id in ids]
    assert outputs == [[n + 1, n * n, (n + 1) ** 2] for n in range(200)]
    runs = Counter(key for key, *_ in entries(deployment))
    assert set(runs.values()) == {1}
    assert len(runs) == 600
    by_process = Counter(pid for *_, pid in entries(deployment))
    assert len(by_process) == 2, "one host did all the work"
    assert min(by_process.values()) > 50
