"""Plays the corpus through a simulation and checks everything that must hold afterwards."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

from perdure.core.data import payload_of
from perdure.core.messages import RaiseEvent, Resume, Rewind, Suspend, Terminate
from perdure.core.status import ENDED
from perdure.engine.deleting import delete_instance
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.worker import Worker
from perdure.storage.rows import InstanceQuery
from perdure.testing import Faults, Simulation
from tests.simulation.corpus import STARTS, Ledger, registry_of
from tests.simulation.observer import Observer
from tests.simulation.starting import start


def faults_of(seed: int) -> Faults:
    """Return what goes wrong in a seed's run: some have a store that throttles, some have clocks that differ."""
    return Faults(refused=0.01 if seed % 3 == 1 else 0.0, clocks_differ=3.0 if seed % 2 else 0.0)


SETTINGS = EngineSettings(tail_turns=4, cached_sessions=4, anchor_budget=20, safety_net_delay=15)
RECEIVERS = ("counting", "receiving", "noting", "mending")


class Play:
    """One seed's run."""

    limit = 6_000.0
    """Seconds after which it has failed, if it has not come to its end."""
    starts = STARTS

    def __init__(
        self,
        seed: int,
        faults: Faults | None = None,
        *,
        settings: EngineSettings = SETTINGS,
        invisibility: float = 10.0,
    ) -> None:
        self.ledger = Ledger()
        self.simulation = Simulation(
            seed, self._registry, settings=settings, faults=faults or faults_of(seed), invisibility=invisibility
        )
        self._deployed = False
        """Whether workers that begin now have the new code."""
        self.ledger.sent_twice = self.simulation.sent_twice
        self.observer = Observer(self.simulation.store, self.ledger)
        self.simulation.after_call.append(self.observer)
        self.wrong: list[str] = []

    def run(self) -> list[str]:
        """Return what went wrong."""
        self.simulation.run(self._clients())
        return [*self.wrong, *self.observer.wrong, *self.ledger.unexplained]

    async def _clients(self) -> None:
        simulation = self.simulation
        # an event for an instance that nobody has started is rightly dropped
        await asyncio.gather(*(self._start(instance_id) for instance_id in RECEIVERS))
        await asyncio.gather(*(self._start(instance_id) for instance_id in self.starts if instance_id not in RECEIVERS))
        await self._raise("racing", "go", "v", "e0")
        await asyncio.gather(*(self._raise("buffered", "n", number, f"n{number}") for number in range(4)))
        await asyncio.gather(*(self._raise("collecting", "item", number, f"i{number}") for number in range(6)))
        meddling = (self._mend("mending"), self._pause("pausing"), self._doom("doomed"), self._scale(), self._deploy())
        tasks = [asyncio.create_task(each) for each in meddling]
        while simulation.loop.time() < self.limit and not await self._quiet():
            await asyncio.sleep(10)
        for task in tasks:
            if task.done():
                await task
            task.cancel()
        await self._check()

    def _registry(self, simulation: Simulation) -> Registry:
        return registry_of(simulation, self.ledger, newer=self._deployed)

    async def _scale(self) -> None:
        """Let workers come and go."""
        simulation = self.simulation
        for number in range(20):
            await asyncio.sleep(simulation.random.uniform(0, 100))
            if simulation.random.random() < 0.5:
                simulation.add_worker(f"added-{number}")
            else:
                await simulation.remove_worker()

    async def _deploy(self) -> None:
        """Replace the workers one after the other by ones with newer code, in the middle of everything."""
        simulation = self.simulation
        await asyncio.sleep(simulation.random.uniform(10, 120))
        self._deployed = True
        for number in range(3):
            simulation.add_worker(f"newer-{number}")
            await asyncio.sleep(simulation.random.uniform(0, 20))
        while await simulation.remove_worker(lambda life: not life.name.startswith("newer")):
            await asyncio.sleep(simulation.random.uniform(0, 20))

    async def _start(self, instance_id: str) -> None:
        simulation = self.simulation
        name, value, _ = self.starts.get(instance_id, (instance_id, None, None))
        execution_id = f"{simulation.random.getrandbits(128):032x}"
        await asyncio.sleep(simulation.random.uniform(0, 30))
        begins = simulation.clock.now() + timedelta(seconds=100) if instance_id == "later" else None

        async def serve(worker: Worker) -> None:
            row = worker.starting.row(
                instance_id, name, execution_id=execution_id, input_=json.dumps(value), start_at=begins
            )
            await start(worker, row)

        await simulation.request(serve)

    async def _raise(self, instance_id: str, name: str, data: Any, message_id: str) -> None:
        message = RaiseEvent(to=instance_id, id=message_id, name=name, data=json.dumps(data))
        await asyncio.sleep(self.simulation.random.uniform(0, 60))

        async def serve(worker: Worker) -> None:
            await worker.mail.send(message)

        await self.simulation.request(serve)

    async def _mend(self, instance_id: str) -> None:
        """Rewind an instance whenever it is found failed; send it the event it waits for while it runs, since one that
        comes to a failed instance is rightly dropped.
        """
        simulation = self.simulation
        for number in range(1_000):
            await asyncio.sleep(simulation.random.uniform(0, 40))
            instance = simulation.store.hubs["simulated"].rows[instance_id].instance
            if instance.status == "Failed":
                again = Rewind(
                    to=instance_id, id=f"w{number}", execution_id=instance.execution_id, reason="not for long"
                )
                await simulation.request(lambda worker, again=again: worker.mail.send(again))
            elif instance.status == "Running":
                await self._raise(instance_id, "done", "done", f"d{number}")

    async def _pause(self, instance_id: str) -> None:
        """Suspend and resume an instance until it ends."""
        simulation = self.simulation
        for number in range(1_000):
            kind = Suspend if number % 2 == 0 and number < 10 else Resume
            message = kind(to=instance_id, id=f"p{number}", reason="so")
            await asyncio.sleep(simulation.random.uniform(0, 15))
            if simulation.store.hubs["simulated"].rows[instance_id].instance.status in ENDED:
                return
            await simulation.request(lambda worker, message=message: worker.mail.send(message))

    async def _doom(self, instance_id: str) -> None:
        """Start an instance, and terminate it with its children."""
        simulation = self.simulation
        await self._start(instance_id)
        await asyncio.sleep(simulation.random.uniform(0, 60))
        message = Terminate(to=instance_id, id="doom", reason="enough")
        await simulation.request(lambda worker: worker.mail.send(message))

    async def _quiet(self) -> bool:
        rows = self.simulation.store.hubs["simulated"].rows
        ended = all(rows[instance_id].instance.status in ENDED for instance_id in self.starts)
        ended = ended and "doomed" in rows and rows["doomed"].instance.status in ENDED
        ended = ended and rows["mending"].instance.status != "Failed"
        return ended and not any(self.simulation.store.queues.values())

    async def _check(self) -> None:
        storage = self.simulation.storage
        for instance_id, (_, _, expected) in self.starts.items():
            row = await storage.read(instance_id)
            assert row is not None
            output = row.instance.output
            if (payload := payload_of(output)) is not None:
                output = (await storage.get_payload(instance_id, payload)).decode()
            got = json.loads(output) if output else None
            if row.instance.status != "Completed" or got != expected:
                self.wrong.append(f"{instance_id}: {row.instance.status} with {got}, not {expected}")
        for row in self.simulation.store.hubs["simulated"].rows.values():
            if row.instance.name in ("doomed", "forlorn") and row.instance.status != "Terminated":
                self.wrong.append(f"{row.instance.instance_id} is {row.instance.status}: {row.instance.output}")
        for queue, messages in self.simulation.store.queues.items():
            self.wrong += [f"left in {queue}: {message.body[:200]}" for message in messages.values()]
        await self._purge()

    async def _purge(self) -> None:
        storage, hub = self.simulation.storage, self.simulation.store.hubs["simulated"]
        for instance in (await storage.query(InstanceQuery(), top=1000)).instances:
            row = await storage.read(instance.instance_id)
            assert row is not None
            await delete_instance(storage, row)
        self.wrong += [f"a row of {each} is left" for each in hub.rows]
        self.wrong += [f"a segment of {each} is left" for each, _ in hub.segments]
        self.wrong += [f"a payload of {each} is left" for each, _ in hub.payloads]
