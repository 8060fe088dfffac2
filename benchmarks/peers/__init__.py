"""Other systems for durable execution, measured beside Perdure: extras of the benchmark, each in an environment of its
own, and never dependencies.

The modules named `*_peer` run in those environments, where there is no Perdure. They read an order from standard
input, as `benchmarks.measure` does, and print what they measured.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A system, and how it comes to the machine."""

    module: str
    store: str
    """Where its state is, for the reader of a table."""
    packages: tuple[str, ...]
    """From PyPI; the first one names the version."""
    npm: tuple[str, ...] = ()
    workloads: tuple[str, ...] = ("chain", "concurrent", "fan", "signal")


PEERS = {
    "dbos": Peer("dbos_peer", "SQLite file", ("dbos>=3,<4", "pysqlite3-binary; platform_system == 'Linux'")),
    "durabletask": Peer("durabletask_peer", "memory", ("durabletask>=1.12,<2",)),
    "langgraph": Peer("langgraph_peer", "SQLite file", ("langgraph>=1,<2", "langgraph-checkpoint-sqlite>=3,<4")),
    "restate": Peer(
        "restate_peer", "its server", ("restate-sdk>=1.3,<2", "hypercorn>=0.17", "httpx>=0.27"),
        ("@restatedev/restate-server@1",),
    ),
}  # fmt: skip
