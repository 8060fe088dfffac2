"""Entities are no orchestrators, and what orchestrators ask of them is durable."""

import textwrap

import pytest

from perdure.checking import check_source
from tests.checking.marking import found, marked

APP = """
import random, time, uuid
from datetime import datetime
import perdure_functions as df

app = df.DFApp()

@app.entity_trigger(context_name="context")
class Counter(df.DurableEntity):
    state: int = 0

    async def add(self, amount: int) -> int:
        self.state += amount + random.randint(0, 1) + helper()
        time.sleep(1)
        return self.state

    def stamp(self):
        open("log").write(str(datetime.now()))
        return uuid.uuid4()

class Special(Counter):
    def roll(self): return random.random()

@app.entity_trigger(context_name="context")
def stock(context: df.DurableEntityContext):
    time.sleep(1)
    context.set_state(datetime.now())
    requests.get("https://x.example")
    context.signal_entity(df.EntityId("counter", "a"), "add", random.random())

def classic(context):
    context.set_state(time.time())

main = df.Entity.create(classic)

def helper(): return time.time()

A = df.EntityId("Counter", "a")
"""

ASYNC = {
    "calls, signals, sections, proxies": """
        counter = context.entity(Counter, "a")
        typed: Counter = context.entity(Counter, "b")
        total = await counter.add(5) + await typed.add(6) + await context.entity("Counter", "c").add(7)
        await context.call_entity(A, "add", total)
        context.signal_entity(A, "add", await typed.stamp())
        async with context.lock_entities([A]):
            await counter.add(1)
        async with context.lock_entities([A]) as lock:
            lock.release()
        lock = await context.lock_entities([A])
        with lock:
            results = await context.task_all([counter.add(1), context.call_entity(A, "add", 1)])
        with await context.lock_entities([A]):
            return results
        """,
    "a helper with a proxy": """
        await twice(context.entity(Counter, "a"))
        await twice_special(context.entity(Special, "a"))
        """,
    "results that are not awaited": """
        if context.entity(Counter, "a").add(5):  # <- not-awaited
            total = context.call_entity(A, "get") + 1  # <- not-awaited
        await context.call_entity(A, "add", context.entity(Counter, "b").add(1))  # <- not-awaited
        context.lock_entities([A])  # <- not-awaited
        with context.lock_entities([A]):  # <- not-awaited
            pass
        """,
    "while replaying": """
        if not context.is_replaying:
            await context.entity(Counter, "a").add(5)  # <- replay-branch
        """,
    "what is called like a function": """
        stock(context)  # <- direct-call
        classic(context)  # <- direct-call
        """,
}

GENERATORS = {
    "calls, signals, sections": """
        counter = context.entity(Counter, "a")
        total = yield counter.add(5)
        with (yield context.lock_entities([A])):
            yield context.call_entity(A, "add", total)
        context.signal_entity(A, "add", 1)
        lock = yield context.lock_entities([A])
        try:
            yield context.task_all([counter.add(1)])
        finally:
            lock.release()
        """,
    "the inside of a section is checked, too": """
        with (yield context.lock_entities([A])):
            time.sleep(1)  # <- sleep
            yield context.call_entity(A, "add", random.random())  # <- random
        with context.lock_entities([A]):  # <- not-awaited
            yield context.entity(Counter, "a").add(1)
        """,
}

HELPERS = """
async def twice(counter: Counter):
    await counter.add(await counter.add(1))

async def twice_special(special: "Special"):
    await special.roll()
"""


def source(body, style):
    lines = textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
    return f'{APP}\n{HELPERS}\n@app.orchestration_trigger(context_name="context")\n{style} run(context):\n{lines}\n'


@pytest.mark.parametrize("body", ASYNC.values(), ids=ASYNC)
def test_async_orchestrators(body):
    code = source(body, "async def")
    assert found(check_source(code, "app.py")) == marked(code)


@pytest.mark.parametrize("body", GENERATORS.values(), ids=GENERATORS)
def test_generator_orchestrators(body):
    code = source(body, "def")
    assert found(check_source(code, "app.py")) == marked(code)
