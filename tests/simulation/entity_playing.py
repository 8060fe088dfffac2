"""Plays the entities' corpus through a simulation and checks everything that must hold afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from perdure.client import Client
from perdure.core.codec import decode_message, decode_record, segment_of_head
from perdure.core.data import payload_of
from perdure.core.entities.record import Record
from perdure.core.entity_id import EntityId, is_entity_id
from perdure.core.messages import ControlMessage, Operate, Resume, Rewind, Suspend, Sweep, Terminate, Wake
from perdure.core.rewinding import is_inside_section
from perdure.core.status import ENDED
from perdure.core.streams import Place
from perdure.engine.deleting import delete_instance
from perdure.engine.journal import Journal
from perdure.engine.registry import Registry
from perdure.engine.settings import EngineSettings
from perdure.engine.succession import purge
from perdure.engine.worker import Worker
from perdure.errors import InstanceNotEndedError
from perdure.storage.rows import Row
from perdure.testing import Faults, Simulation
from tests.simulation.corpus import Ledger
from tests.simulation.entity_corpus import (
    ACCOUNTS,
    BOOK,
    COUNTERS,
    FUNDS,
    LARGE,
    LOG,
    RELAYS,
    SECTIONS,
    SUMS,
    TOTALS,
    entity_registry_of,
)
from tests.simulation.observer import Observer
from tests.simulation.playing import faults_of
from tests.simulation.starting import start

SETTINGS = EngineSettings(
    tail_turns=4, cached_sessions=6, anchor_budget=20, safety_net_delay=15, entity_batch=3, turn_bytes=2_000
)
PURGED = ("hog-0", "hog-1", "hog-2", "hasty-0", "teller-2", "teller-5", "giving-1", "giving-2")
MENDED = ("hasty-1", "returning")
CLIENT_SIGNALS = 8
DAY = 86_400.0


class EntityPlay:
    """One seed's run of a part of the corpus."""

    starts: Mapping[str, tuple[str, Any, set[str]]] = {}
    limit = 6_000.0
    """Virtual seconds after which a run that has not come to its end is wrong."""
    workers = 3

    def __init__(self, seed: int, faults: Faults | None = None) -> None:
        self.ledger = Ledger()
        self.simulation = Simulation(
            seed,
            lambda simulation: self.registry_of(simulation, self.ledger),
            workers=self.workers,
            settings=SETTINGS,
            faults=faults or faults_of(seed),
        )
        self._deployed = seed % 4 != 2
        """Whether workers that begin now have the new code."""
        self.ledger.sent_twice = self.simulation.sent_twice
        self.observer = Observer(self.simulation.store, self.ledger)
        self.simulation.after_call.append(self.observer)
        self.simulation.after_call.append(self._notice_ends)
        self.wrong: list[str] = []
        self.purged: set[str] = set()
        self._ends = {instance_id: asyncio.Event() for instance_id in PURGED}

    def run(self) -> list[str]:
        """Return what went wrong."""
        self.simulation.run(self._clients())
        return [*self.wrong, *self.observer.wrong, *self.ledger.unexplained]

    @property
    def rows(self) -> dict[str, Row]:
        return self.simulation.store.hubs["simulated"].rows

    def registry_of(self, simulation: Simulation, ledger: Ledger) -> Registry:
        """Return the functions of a worker."""
        return entity_registry_of(simulation, ledger, newer=self._deployed)

    def meddling(self) -> list[Coroutine[Any, Any, None]]:
        """Return what goes on while the orchestrations run."""
        return []

    async def check_states(self) -> None:
        """Check what the entities have come to."""

    # ---- the clients -----------------------------------------------------------------------------------------------

    async def _clients(self) -> None:
        tasks = [asyncio.create_task(each) for each in (*self.meddling(), self._deploy())]
        await asyncio.gather(*(self._start(instance_id) for instance_id in self.starts))
        while self.simulation.loop.time() < self.limit and not await self._quiet():
            await asyncio.sleep(10)
        for task in tasks:
            if task.done():
                await task
            task.cancel()
        await self._check()

    async def _deploy(self) -> None:
        """Replace workers that run older code, in the middle of everything."""
        simulation = self.simulation
        await asyncio.sleep(simulation.random.uniform(10, 60))
        if self._deployed:
            return
        self._deployed = True
        for number in range(3):
            simulation.add_worker(f"newer-{number}")
            await asyncio.sleep(simulation.random.uniform(0, 10))
        while await simulation.remove_worker(lambda life: not life.name.startswith("newer")):
            await asyncio.sleep(simulation.random.uniform(0, 10))

    async def _start(self, instance_id: str) -> None:
        simulation = self.simulation
        name, value, _ = self.starts[instance_id]
        execution_id = f"{simulation.random.getrandbits(128):032x}"
        await asyncio.sleep(simulation.random.uniform(0, 30))

        async def serve(worker: Worker) -> None:
            if instance_id in self.purged:
                return
            row = worker.starting.row(instance_id, name, execution_id=execution_id, input_=json.dumps(value))
            await start(worker, row)

        await simulation.request(serve)

    async def _send(self, message: ControlMessage) -> None:
        async def serve(worker: Worker) -> None:
            await worker.mail.send(message)

        await self.simulation.request(serve)

    async def clean_up(self, longest_pause: float) -> None:
        """Clean entity storage again and again, as a client may do at any time."""
        simulation = self.simulation
        while True:
            await asyncio.sleep(simulation.random.uniform(0, longest_pause))
            await simulation.request(
                lambda worker: Client(worker.storage, clock=worker.clock, new_id=worker.new_id).clean_entity_storage()
            )

    async def _is_to_be_rewound(self, instance_id: str) -> bool:
        """Whether it has failed, and not in a critical section."""
        journal = Journal(self.simulation.storage, instance_id, SETTINGS)
        await journal.load()
        failed = journal.row is not None and journal.instance.status == "Failed" and instance_id not in PURGED
        return failed and not is_inside_section(journal.state.turns)

    # ---- the end ---------------------------------------------------------------------------------------------------

    async def _quiet(self) -> bool:
        ended = all(
            instance_id in self.purged or self.rows[instance_id].instance.status in ENDED for instance_id in self.starts
        )
        settled = ended and not any(
            [await self._is_to_be_rewound(instance_id) for instance_id in MENDED if instance_id in self.starts]
        )
        return settled and all(self.may_stay(message) for message in self._messages())

    def _messages(self) -> list[Any]:
        return [
            decode_message(message.body)
            for messages in self.simulation.store.queues.values()
            for message in messages.values()
        ]

    async def _check(self) -> None:
        for instance_id, (_, _, statuses) in self.starts.items():
            row = self.rows.get(instance_id)
            if row is None:
                if instance_id not in self.purged:
                    self.wrong.append(f"{instance_id} is gone")
            elif row.instance.status not in statuses:
                self.wrong.append(f"{instance_id}: {row.instance.status} with {row.instance.failure}")
        self.wrong += [f"left: {message}" for message in self._messages() if not self.may_stay(message)]
        for instance_id, row in self.rows.items():
            if is_entity_id(instance_id):
                self._check_record(instance_id, self._record(row))
        await self.check_states()
        await self._sweep()
        self.wrong += [f"payload {name} of {each} is left" for each, name in self._left() if is_entity_id(each)]
        await self._purge()

    def may_stay(self, message: Any) -> bool:
        """Whether a message is one that wakes an entity later on."""
        return isinstance(message, Wake) and message.to in self.rows

    def _record(self, row: Row) -> Record:
        name = segment_of_head(row.head)
        segments = self.simulation.store.hubs["simulated"].segments
        return decode_record(row.head if name is None else segments[row.instance.instance_id, name])

    def _check_record(self, instance_id: str, record: Record) -> None:
        if record.lock is not None:
            self.wrong.append(f"{instance_id} is locked: {record.lock}")
        for what in (record.queue, record.early):
            if what:
                self.wrong.append(f"{instance_id} waits for ever: {what}")

    async def state(self, entity: EntityId | str) -> Any:
        row = self.rows.get(str(entity))
        if row is None or row.instance.output is None:
            return None
        output = row.instance.output
        if (payload := payload_of(output)) is not None:
            output = (await self.simulation.storage.get_payload(str(entity), payload)).decode()
        return json.loads(output)

    async def _purge(self) -> None:
        storage, hub = self.simulation.storage, self.simulation.store.hubs["simulated"]
        states = self._states()
        for instance_id in list(hub.rows):
            row = await storage.read(instance_id)
            assert row is not None
            await delete_instance(storage, row)
        client = Client(storage, clock=self.simulation.clock)
        for instance_id in self.purged:  # a session that was at work just then may have died before it cleaned up
            await client.purge_instance_history(instance_id)
        self.wrong += [f"a row of {each} is left" for each in hub.rows]
        self.wrong += [f"segment {name} of {each} is left" for each, name in hub.segments]
        await self._sweep()
        left = [(each, name) for each, name in hub.payloads if (each, name) not in states]
        self.wrong += [f"payload {name} of {each} is left after all" for each, name in left]

    async def _sweep(self) -> None:
        """Let time pass and clean up: what a worker has stored for somebody who never heard of it must go."""
        simulation = self.simulation
        simulation.loop.skip(8 * DAY)
        await simulation.request(
            lambda worker: Client(worker.storage, clock=worker.clock, new_id=worker.new_id).clean_entity_storage()
        )
        while any(isinstance(message, Sweep) for message in self._messages()):
            await asyncio.sleep(60)
            simulation.loop.skip(DAY / 4)

    def _states(self) -> set[tuple[str, str]]:
        """Return the payloads that hold states of entities."""
        return {
            (instance_id, name)
            for instance_id, row in self.rows.items()
            if (name := payload_of(row.instance.output)) is not None and is_entity_id(instance_id)
        }

    def _left(self) -> list[tuple[str, str]]:
        """Return the payloads of entities that hold no state."""
        states = self._states()
        return [key for key in self.simulation.store.hubs["simulated"].payloads if key not in states]

    def _notice_ends(self, method: str) -> None:
        if method not in ("merge", "replace"):
            return
        for instance_id, end in self._ends.items():
            row = self.rows.get(instance_id)
            if row is not None and row.instance.status in ENDED:
                end.set()


class Sums(EntityPlay):
    """Counters, a log, relays, a book."""

    starts = SUMS

    def meddling(self) -> list[Coroutine[Any, Any, None]]:
        return [self._signal()]

    async def _signal(self) -> None:
        """Signal a counter in order, adding nothing in the end; a signal that may not have been sent is sent again."""
        for number in range(CLIENT_SIGNALS):
            await asyncio.sleep(self.simulation.random.uniform(0, 10))
            place = Place("client/c", number)
            amount = json.dumps(1 if number % 2 else -1)
            await self._send(Operate(to=str(COUNTERS[0]), id=str(place), place=place, operation="add", input=amount))

    async def check_states(self) -> None:
        for entity, total in TOTALS.items():
            if (got := await self.state(entity)) != total:
                self.wrong.append(f"{entity} is {got}, not {total}")
        text = await self.state(BOOK)
        if text.count("a") != 3 * LARGE or len(text) != 6 * LARGE:
            self.wrong.append(f"the book has {len(text)} letters")
        self._check_log(await self.state(LOG))

    def _check_log(self, notes: list[tuple[str, int]]) -> None:
        told = {f"chatting-{number}": 20 for number in range(3)}
        told |= {str(relay): 15 if relay == RELAYS[0] else 0 for relay in RELAYS}
        told[str(RELAYS[0])], told[str(RELAYS[1])] = 9, 6
        for sender, count in told.items():
            numbers = [number for each, number in notes if each == sender]
            if numbers != list(range(count)):
                self.wrong.append(f"{sender} told {numbers}")


class Sections(EntityPlay):
    """Accounts, in critical sections."""

    starts = SECTIONS

    def meddling(self) -> list[Coroutine[Any, Any, None]]:
        return [
            *(self._mend(instance_id) for instance_id in MENDED),
            self._meddle("hog-0", "terminate"),
            self._meddle("hog-2", "suspend", "resume"),
            *(self._purge_early(instance_id) for instance_id in PURGED),
            # a clean-up releases locks that nobody else does: in half of the runs it must not hide that
            *([self.clean_up(60)] if self.simulation.seed % 2 else []),
        ]

    async def _meddle(self, instance_id: str, *deeds: str) -> None:
        make: dict[str, Callable[[str], ControlMessage]] = {
            "terminate": lambda it: Terminate(to=instance_id, id=it, reason="enough"),
            "suspend": lambda it: Suspend(to=instance_id, id=it, reason="wait"),
            "resume": lambda it: Resume(to=instance_id, id=it, reason="go on"),
        }
        while instance_id not in self.rows:
            await asyncio.sleep(1)
        for deed in deeds:
            await asyncio.sleep(self.simulation.random.uniform(0, 60))
            await self._send(make[deed](f"{deed}-{instance_id}"))
            while deed == "suspend" and not self._has_paused_or_ended(instance_id):
                await asyncio.sleep(1)  # the two could change places

    def _has_paused_or_ended(self, instance_id: str) -> bool:
        row = self.rows.get(instance_id)
        return row is None or row.instance.status in (*ENDED, "Suspended")

    async def _mend(self, instance_id: str) -> None:
        """Rewind an instance whenever it is found failed, unless it is to stay so."""
        for number in range(1_000):
            await asyncio.sleep(self.simulation.random.uniform(0, 20))
            row = self.rows.get(instance_id)
            if row is not None and await self._is_to_be_rewound(instance_id):
                await self._send(
                    Rewind(
                        to=instance_id,
                        id=f"w{number}-{instance_id}",
                        execution_id=row.instance.execution_id,
                        reason="not for long",
                    )
                )

    async def _purge_early(self, instance_id: str) -> None:
        """Purge an instance as soon as it has ended, whatever it may have left unsaid."""
        await self._ends[instance_id].wait()
        instance = self.rows[instance_id].instance
        if instance.status not in self.starts[instance_id][2]:
            self.wrong.append(f"{instance_id}: {instance.status} with {instance.failure}")
        self.purged.add(instance_id)
        await self.simulation.request(lambda worker: _purged(worker, instance_id))

    async def check_states(self) -> None:
        money = [await self.state(each) for each in ACCOUNTS]
        if None in money or sum(money) != FUNDS * len(ACCOUNTS):
            self.wrong.append(f"money is not conserved: {money}")


async def _purged(worker: Worker, instance_id: str) -> None:
    """Purge an instance that has ended, as a client does."""
    while (row := await worker.storage.read(instance_id)) is not None:
        try:
            if not row.instance.deleting and await purge(worker.storage, worker.dispatch, row):
                return
        except InstanceNotEndedError:
            pass
        await asyncio.sleep(1)
