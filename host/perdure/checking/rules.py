"""The rules by name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What a rule finds, and what to use instead."""

    name: str
    finds: str
    instead: str


_ALL = (
    Rule("wall-clock", "the machine's clock: datetime.now(), time.time() and the like", "context.current_utc_datetime"),
    Rule("random", "random numbers: random, secrets, os.urandom, numpy.random", "context.random()"),
    Rule("uuid", "ids made up on the spot: uuid.uuid4() and the like", "context.new_uuid() or new_guid()"),
    Rule("identity", "hash() and id(), which differ between processes", "hashlib, or the value itself"),
    Rule("sleep", "time.sleep(), asyncio.sleep() and the like", "context.create_timer(...)"),
    Rule("io", "files, network, processes, databases", "an activity; context.call_http(...)"),
    Rule("environment", "os.environ, os.getenv(), host names, process ids", "the input, or an activity"),
    Rule("threads", "threads, pools and processes", "activities and context.task_all(...)"),
    Rule("not-durable", "awaiting or yielding what is no durable task", "the context's tasks, or an activity"),
    Rule("not-awaited", "using a task where its result is meant", "yield or await the task"),
    Rule("direct-call", "calling an activity or orchestrator like a function", "context.call_activity(...)"),
    Rule("set-order", "the order of a set's elements", "sorted(...), or a list"),
    Rule("global-state", "changing what outlives the orchestration's run", "local variables, the input, an entity"),
    Rule("replay-branch", "actions that depend on context.is_replaying", "do them always"),
    Rule("broad-except", "catching BaseException around a wait, and going on", "except Exception"),
    Rule("unused-ignore", "a `# perdure: ignore` that silences nothing", "remove it"),
    Rule("unreadable", "a file that is not valid Python", "correct it; it can't be silenced"),
)

RULES: dict[str, Rule] = {rule.name: rule for rule in _ALL}
"""Every rule by its name."""
