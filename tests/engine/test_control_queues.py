"""The number of a hub's control queues may grow while instances wait: what is in the old queue is still served."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from perdure.client import Client
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.engine.registry import Registry
from perdure.engine.worker import Worker
from perdure.local.queue_pump import PumpOptions, QueuePump
from perdure.storage.memory import MemoryStorage, MemoryStore
from perdure.testing.virtual_time import VirtualClock, run_virtual

INSTANCES = [f"instance-{number}" for number in range(20)]


def nap_then_wait(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    return (yield context.wait_for_external_event("go"))


class Host:
    """A worker with so many control queues, all of them pumped."""

    def __init__(self, store, queues):
        clock = VirtualClock(asyncio.get_running_loop())
        storage = MemoryStorage("hub", store=store, clock=lambda: clock.now().timestamp())
        registry = Registry()
        registry.orchestrators.add("nap_then_wait", nap_then_wait)
        self.storage = storage
        self.worker = Worker(storage, registry, control_queues=queues, clock=clock)
        self.client = Client(storage, control_queues=queues, clock=clock)
        self.served = []

    async def __aenter__(self):
        await self.worker.create_hub()
        self.pumps = [
            QueuePump(self.storage, queue, self._serving(queue), PumpOptions()) for queue in self.worker.queues.control
        ]
        self.tasks = [asyncio.create_task(pump.run()) for pump in self.pumps]
        return self

    def _serving(self, queue):
        async def serve(message):
            self.served.append(queue)
            await self.worker.handle_control(message.body, message.message_id, message.dequeue_count)

        return serve

    async def __aexit__(self, *_error):
        for pump in self.pumps:
            pump.stop()
        await self.worker.stop()
        await asyncio.gather(*self.tasks)


@pytest.mark.parametrize("queues", [2, 16])
def test_control_queues_may_be_added_while_instances_wait(queues):
    async def scenario():
        store = MemoryStore()
        async with Host(store, 1) as before:
            for instance_id in INSTANCES:
                await before.client.start_new("nap_then_wait", instance_id)
            await asyncio.sleep(60)
        async with Host(store, queues) as after:
            await asyncio.sleep(3_700)
            assert after.served == ["hub-control"] * len(INSTANCES), "their timers lie in the queue that there was"
            for instance_id in INSTANCES:
                await after.client.raise_event(instance_id, "go", "on")
            ended = [await after.client.wait_for_completion(instance_id) for instance_id in INSTANCES]
            return ended, set(after.served), len(after.worker.queues.control)

    ended, served, there = run_virtual(scenario())

    assert {status.runtime_status for status in ended} == {OrchestrationRuntimeStatus.Completed}
    assert {status.output for status in ended} == {"on"}
    assert len(served) >= there / 2, "events are spread over the new ones"
