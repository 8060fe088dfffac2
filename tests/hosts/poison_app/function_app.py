"""An app of which some functions end their process, among others that are as they should be."""

import os
from pathlib import Path

import azure.functions as func

import perdure_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.orchestration_trigger(context_name="context")
def doomed(context: df.OrchestrationContext):
    if not Path("mended").exists():
        os._exit(1)
    return "mended"


@app.orchestration_trigger(context_name="context")
def calls_killer(context: df.OrchestrationContext):
    return (yield context.call_activity("killer", placement=context.get_input()))


@app.orchestration_trigger(context_name="context")
def innocent(context: df.OrchestrationContext):
    number = context.get_input()
    for _ in range(3):
        number = yield context.call_activity("double", number)
    both = yield context.task_all([context.call_activity("double", n, placement="queue") for n in (number, 1)])
    return both


@app.activity_trigger(input_name="nothing")
def killer(nothing: None) -> None:
    os._exit(1)


@app.activity_trigger(input_name="number")
def double(number: int) -> int:
    return 2 * number
