"""The app of the benchmark's hosts: a chain of three steps, and the writes of one without the engine."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Generator
from typing import Any

import azure.functions as func
from benchmarks import floors
from benchmarks.bench import Bench
from benchmarks.counted_host import COUNTS, count_requests
from benchmarks.stores import Place

import perdure_functions as df

_CONNECTION = os.environ["AzureWebJobsStorage"]  # noqa: SIM112 - the Functions host calls it so
count_requests(_CONNECTION)
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
_benches: list[Bench] = []
_numbers: Counter[str] = Counter()
_TURN_BYTES = 150


@app.orchestration_trigger(context_name="context")
def chain(context: df.OrchestrationContext) -> Generator[Any, Any, Any]:
    """Three steps, one after the other."""
    for number in range(3):
        yield context.call_activity("noop", number)
    return "done"


@app.activity_trigger(input_name="number")
async def noop(number: int) -> int:
    return number


@app.route(route="floor", methods=["POST"])
async def floor(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding's name
    """Write what a chain of three steps writes, and do nothing else."""
    if not _benches:
        bench = Bench(Place("here", _CONNECTION), {})
        bench.shape = {"turn_bytes": _TURN_BYTES}
        await bench.create()
        _benches.append(bench)
    _numbers["floor"] += 1
    await floors.instance(_benches[0], f"floor{_numbers['floor']}", 3)
    return func.HttpResponse("done")


@app.route(route="counts", methods=["GET"])
def counts(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding's name
    """Tell how many requests this process has made, by kind."""
    return func.HttpResponse(json.dumps(COUNTS), mimetype="application/json")
