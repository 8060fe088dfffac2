"""What each rule finds, and what it leaves alone. Marks in the sources say what is to be found."""

import pytest

from perdure.checking import RULES, check_source
from tests.checking.marking import found, marked, orchestrator

CALLS = [
    # wall-clock
    ("from datetime import datetime", "datetime.now()", "wall-clock"),
    ("from datetime import datetime, UTC", "datetime.now(UTC)", "wall-clock"),
    ("import datetime as dt", "dt.datetime.utcnow()", "wall-clock"),
    ("import datetime", "datetime.date.today()", "wall-clock"),
    ("import time", "time.time()", "wall-clock"),
    ("import time", "time.monotonic_ns()", "wall-clock"),
    ("from time import perf_counter as now", "now()", "wall-clock"),
    ("import time", "time.localtime()", "wall-clock"),
    ("import time", "time.strftime('%Y')", "wall-clock"),
    ("import time\nclock = time.time", "clock()", "wall-clock"),
    ("import pandas as pd", "pd.Timestamp.now()", "wall-clock"),
    ("try:\n    import pendulum\nexcept ImportError:\n    pendulum = None", "pendulum.now()", "wall-clock"),
    # random
    ("import random", "random.random()", "random"),
    ("from random import shuffle as mix", "mix([1, 2])", "random"),
    ("import random", "random.Random()", "random"),
    ("import random\nrng = random.Random(7)", "rng.random()", "random"),
    ("import secrets", "secrets.token_hex()", "random"),
    ("import os", "os.urandom(8)", "random"),
    ("import numpy as np", "np.random.rand(3)", "random"),
    ("import numpy as np", "np.random.default_rng()", "random"),
    # uuid
    ("import uuid", "uuid.uuid4()", "uuid"),
    ("from uuid import uuid1", "str(uuid1())", "uuid"),
    # identity
    ("", "hash('a')", "identity"),
    ("", "id(context)", "identity"),
    # sleep
    ("import time", "time.sleep(1)", "sleep"),
    # io
    ("", "open('a.txt')", "io"),
    ("", "input()", "io"),
    ("import os", "os.listdir('.')", "io"),
    ("import os.path as p", "p.exists('a')", "io"),
    ("from pathlib import Path", "Path('a').read_text()", "io"),
    ("from pathlib import Path\nHERE = Path(__file__).parent", "(HERE / 'a' / 'b').write_bytes(b'')", "io"),
    ("from pathlib import Path", "Path('a').joinpath('b').with_suffix('.c').exists()", "io"),
    ("import requests", "requests.get('https://x.example')", "io"),
    ("import requests\nsession = requests.Session()", "session.get('https://x.example')", "io"),
    ("import urllib.request", "urllib.request.urlopen('https://x.example')", "io"),
    ("import httpx", "httpx.post('https://x.example')", "io"),
    ("import socket", "socket.create_connection(('x.example', 80))", "io"),
    ("import subprocess as sp", "sp.run(['ls'])", "io"),
    ("import sqlite3", "sqlite3.connect('a.db')", "io"),
    ("from azure.storage.blob import BlobClient", "BlobClient.from_connection_string('')", "io"),
    ("from openai import OpenAI\nai = OpenAI()", "ai.chat.completions.create()", "io"),
    # environment
    ("import os", "os.environ['A']", "environment"),
    ("from os import environ as env", "env.get('A')", "environment"),
    ("import os", "os.getenv('A')", "environment"),
    ("import socket", "socket.gethostname()", "environment"),
    ("import sys", "sys.argv[1]", "environment"),
    # threads
    ("import threading", "threading.Thread(target=print)", "threads"),
    ("from concurrent.futures import ThreadPoolExecutor", "ThreadPoolExecutor()", "threads"),
    ("from concurrent import futures", "futures.ProcessPoolExecutor()", "threads"),
    ("import multiprocessing as mp", "mp.Pool()", "threads"),
    ("import asyncio", "asyncio.to_thread(print)", "threads"),
    # not-durable, whether awaited or not
    ("import asyncio", "asyncio.create_task(None)", "not-durable"),
    ("import asyncio", "asyncio.Queue()", "not-durable"),
    # direct-call
    ("", "greet('x')", "direct-call"),
]


@pytest.mark.parametrize(("imports", "call", "rule"), CALLS)
def test_a_call_that_orchestrators_must_not_make(imports, call, rule):
    source = orchestrator(f"x = {call}  # <- {rule}\nyield context.call_activity(greet, x)", before=imports)
    assert found(check_source(source, "app.py")) == marked(source)


@pytest.mark.parametrize(("imports", "call", "rule"), CALLS)
def test_the_same_call_elsewhere_is_nobodys_business(imports, call, rule):
    source = f"{imports}\n\ndef anybody(context):\n    x = {call}\n\nclass Any:\n    def run(self, context): {call}\n"
    assert check_source(source, "app.py") == []


HARMLESS = [
    ("from datetime import datetime, timedelta", "datetime(2030, 1, 1) + timedelta(days=1)"),
    ("from datetime import datetime", "datetime.fromisoformat('2030-01-01')"),
    ("", "context.current_utc_datetime"),
    ("import time", "time.strftime('%Y', time.gmtime(0))"),
    ("", "context.random().choice([1, 2])"),
    ("import random", "random.Random(context.instance_id)"),
    ("import random", "random.Random(7).random()"),
    ("import uuid", "uuid.uuid5(uuid.NAMESPACE_URL, context.instance_id)"),
    ("import uuid", "uuid.UUID(context.new_uuid())"),
    ("import secrets", "secrets.compare_digest('a', 'b')"),
    ("import os", "os.path.join('a', 'b')"),
    ("from pathlib import Path, PurePath", "Path('a') / 'b', PurePath('a').name, Path('a').suffix"),
    ("from urllib.parse import quote", "quote('a b')"),
    ("import httpx", "httpx.URL('https://x.example')"),
    ("import requests", "isinstance(context.get_input(), requests.Response)"),
    ("import json, math, re, hashlib", "json.dumps(math.sqrt(2)), re.match('a', 'b'), hashlib.sha256(b'').hexdigest()"),
    ("import azure.functions as func", "func.HttpMethod.GET"),
    ("", "print('hello')"),
    ("import logging", "logging.getLogger('a').info('hello')"),
    ("def open(name): return name", "open('a')"),
    ("class time:\n    @staticmethod\n    def time(): return 1", "time.time()"),
    ("import something", "something.sleep()"),
    ("from asyncio import TimeoutError as Late", "Late()"),
]


@pytest.mark.parametrize(("imports", "expression"), HARMLESS)
def test_what_is_harmless(imports, expression):
    source = orchestrator(f"x = {expression}\nyield context.call_activity(greet, x)", before=imports)
    assert check_source(source, "app.py") == []


def test_local_names_hide_imported_ones():
    source = orchestrator(
        """
        time = context.get_input()
        later = [random.random() for random in context.get_input()]
        sort = sorted(later, key=lambda uuid: uuid.uuid4())
        yield context.call_activity(greet, time.time())
        """,
        before="import random, time, uuid",
    )
    assert check_source(source, "app.py") == []


GENERATORS = {
    "values that are no tasks": """
        yield 1  # <- not-durable
        yield  # <- not-durable
        yield {"a": 1}  # <- not-durable
        yield f"{context.instance_id}"  # <- not-durable
        yield [context.call_activity("a")]  # <- not-durable
        yield [context.call_activity(name) for name in "ab"]  # <- not-durable
        """,
    "tasks": """
        task = context.call_activity("a")
        yield task
        yield context.task_any([task, context.create_timer(context.current_utc_datetime)])
        yield from context.task_all([task])
        tasks = {"a": task}
        yield tasks["a"]
        yield context.get_input()(context)
        """,
    "what makes a generator but never runs": """
        return 1
        yield
        """,
    "as little": """
        if False:
            yield
        return 1
        """,
    "helpers that are generators or coroutines": """
        yield steps(context)  # <- not-durable
        yield from steps(context)
        yield coroutine(context)  # <- not-durable
        """,
    "calls of others": """
        yield foreign.work()  # <- not-durable
        yield foreign.steps(context)
        """,
    "a task where its result is meant": """
        name = context.call_activity("a")
        later = context.call_activity("b", name)  # <- not-awaited
        print(f"{later}")  # <- not-awaited
        if context.wait_for_external_event("go"):  # <- not-awaited
            total = context.call_activity("c") + 1  # <- not-awaited
        first = context.call_activity("d")["first"]  # <- not-awaited
        for each in context.call_activity("list"):  # <- not-awaited
            yield context.call_activity("e", each)
        context.set_custom_status(name)  # <- not-awaited
        context.create_timer(context.get_input())  # <- not-awaited
        return context.call_activity("f")  # <- not-awaited
        """,
    "tasks that are used as tasks": """
        name = yield context.call_activity("a")
        context.call_activity("fire and forget")
        tasks = [context.call_activity("b", name)]
        tasks.append(context.create_timer(name))
        winner = yield context.task_any(tasks)
        if winner == tasks[0] or winner is tasks[1] or context.call_activity("c") in tasks:
            tasks[1].cancel()
        result = context.call_activity("x")
        result = yield result
        return result + 1
        """,
    "the order of sets": """
        names = {"a", name} | set(context.get_input())
        for each in names:  # <- set-order
            yield context.call_activity("a", each)
        listed = list(names), [x for x in set("ab")], ",".join(frozenset("ab"))  # <- set-order, set-order, set-order
        one = names.pop()  # <- set-order
        first, *rest = [*names]  # <- set-order
        """,
    "sets whose order does not count": """
        names = {"a", "b"} & set(context.get_input())
        for each in sorted(names):
            yield context.call_activity("a", each)
        if "a" in names and sum(len(each) for each in names) + len(names) > max([len(n) for n in names]):
            upper = sorted(list(names)), {each.upper() for each in names}
        for number in {1, 2}:
            names.add(number)
        """,
    "what outlives the run": """
        global number
        number = 1  # <- global-state
        REGISTRY.update(a=1)  # <- global-state
        SEEN.append(1)  # <- global-state
        CACHE["a"] = 1  # <- global-state
        del CACHE["a"]  # <- global-state
        Settings.name = "a"  # <- global-state
        os.curdir = "x"  # <- global-state
        yield context.call_activity("a")
        """,
    "what does not": """
        SEEN = []
        SEEN.append(1)
        cache = dict(CACHE)
        cache["a"] = CACHE.get("a")
        settings = Settings()
        settings.name = "a"
        def note():
            nonlocal cache
            cache = {}
        note()
        yield context.call_activity("a")
        """,
    "actions that depend on replaying": """
        if not context.is_replaying:
            log.info("once")
            yield context.call_activity("a")  # <- replay-branch
        elif context.instance_id:
            context.create_timer(context.get_input())  # <- replay-branch, not-awaited
        x = context.call_activity("a") if context.is_replaying and name else None  # <- replay-branch
        """,
    "handlers that catch too much": """
        try:
            yield context.call_activity("a")
        except:  # <- broad-except
            pass
        try:
            yield context.call_activity("a")
        except (ValueError, BaseException) as error:  # <- broad-except
            log.warning(error)
        with contextlib.suppress(BaseException):  # <- broad-except
            yield context.call_activity("a")
        """,
    "handlers that don't": """
        try:
            yield context.call_activity("a")
        except Exception:
            log.warning("a")
        try:
            yield context.call_activity("a")
        except BaseException:
            log.warning("a")
            raise
        try:
            x = int("1")
        except:
            x = 2
        with contextlib.suppress(Exception):
            yield context.call_activity("a")
        """,
    "orchestrators and activities called like functions": """
        greet("x")  # <- direct-call
        names = list(map(str, [greet("y")]))  # <- direct-call
        child()  # <- direct-call
        yield greet("z")  # <- direct-call
        counter(1)  # <- direct-call
        yield from child(context)
        yield context.call_sub_orchestrator(child)
        yield context.call_activity(greet, "x")
        """,
}

BEFORE = """
import contextlib, logging, os
import foreign
log = logging.getLogger()
name = "n"
SEEN, CACHE = [], {}
SEEN = []
CACHE: dict[str, int] = {}
number = 0
REGISTRY = dict()

class Settings:
    name = ""

def steps(context):
    yield context.call_activity("a")

async def coroutine(context):
    await context.call_activity("a")

@app.entity_trigger(context_name="context")
def counter(context): ...

@app.orchestration_trigger(context_name="context")
def child(context):
    yield context.call_activity("a")
""".replace("SEEN, CACHE = [], {}\n", "")


@pytest.mark.parametrize("body", GENERATORS.values(), ids=GENERATORS)
def test_generator_orchestrators(body):
    source = orchestrator(body, before=BEFORE)
    assert found(check_source(source, "app.py")) == marked(source)


COROUTINES = {
    "asyncio": """
        await asyncio.sleep(1)  # <- sleep
        await asyncio.gather(context.call_activity("a"))  # <- not-durable
        await asyncio.wait_for(context.call_activity("a"), 1)  # <- not-durable
        await asyncio.to_thread(print)  # <- threads
        async with asyncio.TaskGroup() as group:  # <- not-durable
            await context.call_activity("a")
        """,
    "other people's coroutines": """
        await foreign.fetch()  # <- not-durable
        async with foreign.connect() as connection:  # <- not-durable
            await context.call_activity("a")
        async for row in foreign.rows():  # <- not-durable
            await context.call_activity("a", row)
        await client.chat.completions.create()  # <- io
        """,
    "coroutines that may wait for durable tasks": """
        await foreign.all_of(context, [1])
        await coroutine(context)
        task = context.call_activity("a")
        await task
        await plain(context)
        await context.get_input().anything()
        async def inner():
            return await context.call_activity("a")
        await inner()
        agent = foreign.Agent(context)
        await agent.ask("a")
        tasks, more = [context.call_activity("a")], []
        more.append(context.call_activity("b"))
        await foreign.first_of(tasks)
        await foreign.first_of(*more)
        await foreign.patiently(task, 3)
        await foreign.patiently(context.call_activity("c"))
        return await context.task_all([task])
        """,
    "coroutines that nothing is known of": """
        given: Any = context.get_input()
        await given.anything()
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(given)
        await typed(context, given)
        """,
    "a task where its result is meant": """
        return context.call_activity("a")  # <- not-awaited
        """,
    "yield": """
        yield context.call_activity("a")  # <- not-durable
        """,
}

BEFORE_COROUTINES = """
import asyncio
import foreign
from openai import AsyncOpenAI
from typing import Any
from collections.abc import Awaitable, Callable
import contextlib
client = AsyncOpenAI()

async def typed(context, work: Callable[[], Awaitable[int]]):
    await work()

async def coroutine(context):
    await context.call_activity("a")

def plain(context):
    return context.call_activity("a")
"""


@pytest.mark.parametrize("body", COROUTINES.values(), ids=COROUTINES)
def test_async_orchestrators(body):
    source = orchestrator(body, before=BEFORE_COROUTINES, style="async def")
    assert found(check_source(source, "app.py")) == marked(source)


FOUND_AS = {
    "decorated with a blueprint": """
        @bp.orchestration_trigger(context_name="c", orchestration="other")
        def run(c):
            yield c.create_timer(time.time())  # <- wall-clock
        """,
    "classic": """
        def run(ctx: df.DurableOrchestrationContext):
            yield ctx.create_timer(time.time())  # <- wall-clock
        main = df.Orchestrator.create(run)
        """,
    "imported classic": """
        from azure.durable_functions import Orchestrator
        def run(ctx):
            yield ctx.create_timer(time.time())  # <- wall-clock
        main = Orchestrator.create(run)
        """,
    "registered": """
        def run(ctx, given):
            yield ctx.create_timer(time.time())  # <- wall-clock
        def note(ctx, given): time.time()
        worker.add_orchestrator(run)
        worker.add_activity(note)
        """,
    "registered by name": """
        def run(ctx, given):
            yield ctx.create_timer(time.time())  # <- wall-clock
        worker.add_orchestrator("run", run)
        """,
    "in a function that makes the app": """
        def make():
            app = df.DFApp()
            @app.orchestration_trigger("context")
            def run(context):
                note(1)  # <- direct-call
                yield context.create_timer(time.time())  # <- wall-clock
            @app.activity_trigger("given")
            def note(given): time.time()
            return app
        """,
}


@pytest.mark.parametrize("source", FOUND_AS.values(), ids=FOUND_AS)
def test_orchestrators_are_found(source):
    source = "import time\nimport azure.durable_functions as df\n" + source.replace("\n        ", "\n")
    assert found(check_source(source, "app.py")) == marked(source)


HTTP_AND_OTHERS = """
import time, requests
import azure.functions as func
import perdure_functions as df
app = df.DFApp()

@app.route(route="a")
@app.durable_client_input(client_name="client")
async def start(req, client):
    time.sleep(1)
    await client.start_new(run, client_input=requests.get("https://x.example").json())

@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def tick(timer): time.time()

@app.entity_trigger(context_name="context")
def counter(context): time.time()

@app.activity_trigger(input_name="given")
def work(given):
    helper()

def helper(): time.sleep(1)

@app.orchestration_trigger(context_name="context")
def run(context):
    yield context.call_activity(work)
"""


def test_activities_triggers_and_entities_may_do_what_they_like():
    assert check_source(HTTP_AND_OTHERS, "app.py") == []


def test_defaults_that_classes_of_the_app_fill_in():
    before = """
    import uuid
    from dataclasses import dataclass, field
    from datetime import datetime, UTC
    from pydantic import BaseModel, Field

    @dataclass
    class Order:
        item: str
        id: str = field(default_factory=uuid.uuid4)
        tags: list = field(default_factory=list)

    class Note(BaseModel):
        at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    """
    body = """
    bad = Order("tea"), Note()  # <- uuid, wall-clock
    good = Order("tea", "1"), Order("tea", id="1"), Note(at=context.current_utc_datetime), Order(**context.get_input())
    yield context.call_activity(greet)
    """
    source = orchestrator(body, before=before)
    assert found(check_source(source, "app.py")) == marked(source)


def test_a_finding_says_where_what_and_what_instead():
    source = orchestrator(
        "é = 'é'; x = dt.now()\nyield context.create_timer(x)", before="from datetime import datetime as dt"
    )
    (finding,) = check_source(source, "app.py")
    line = next(number for number, text in enumerate(source.splitlines(), 1) if "dt.now" in text)
    assert str(finding) == (
        f"app.py:{line}:18: wall-clock: dt.now() reads the machine's clock, which shows another time in each replay: "
        f"use context.current_utc_datetime."
    )


def test_messages_use_the_contexts_own_name():
    source = "import uuid\n@bp.orchestration_trigger(context_name='c')\ndef run(c):\n    return uuid.uuid4()\n"
    (finding,) = check_source(source, "app.py")
    assert "use c.new_uuid()." in finding.message


def test_helpers_without_a_context_are_told_of_one():
    source = orchestrator("helper(1)", before="import uuid\ndef helper(x): return uuid.uuid4()")
    (finding,) = check_source(source, "app.py")
    assert "use context.new_uuid() (orchestrator" in finding.message


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(end):
    body = "    time.sleep(1)  # perdure: ignore\n    time.time()\n"
    source = f"import time\n@bp.orchestration_trigger('c')\ndef run(c):\n{body}"
    (finding,) = check_source(source.replace("\n", end), "app.py")
    assert (finding.line, finding.column) == (5, 5)


def test_source_with_null_bytes():
    (finding,) = check_source("x = 1\0\n", "app.py")
    assert finding.rule == "unreadable"


def test_source_that_is_not_python():
    (finding,) = check_source("def run(:\n", "app.py")
    assert (finding.line, finding.rule) == (1, "unreadable")
    assert finding.message.startswith("this is not valid Python: ")


def test_every_rule_is_tried_here():
    sources = [*GENERATORS.values(), *COROUTINES.values()]
    tried = {rule for source in sources for _, rule in marked(source)} | {rule for *_, rule in CALLS}
    assert tried | {"unused-ignore", "unreadable"} == set(RULES)
