"""An app of agents with scripted models, as a user would write one."""

import asyncio
import json
import os
import pathlib
import signal
import time

import azure.functions as func
from agent_framework import Agent, tool
from scripted_models import ScriptedModel, calls

import perdure_functions as df

LEDGER = pathlib.Path(os.environ.get("LEDGER", os.devnull))
PACE = float(os.environ.get("PACE", "0"))


def note(what: str) -> None:
    """Write down that something happened, at once."""
    if pathlib.Path(os.devnull) != LEDGER:
        with LEDGER.open("a") as file:
            file.write(f"{os.getpid()} {what}\n")
    time.sleep(PACE)


@tool
def look_up(page: int) -> str:
    """Look a page up."""
    key = df.activity_context().idempotency_key if app_mode == "steps" else "-"
    note(f"tool {page} {key}")
    return f"page {page}"


def researcher(messages, options):
    """Looks up pages one after the other, as many as the newest question says, and then sums them up."""
    question = next(message for message in reversed(messages) if message.role == "user")
    since = messages[list(messages).index(question) + 1 :]
    done = sum(message.role == "tool" for message in since)
    wanted = int(question.text.split()[-1])
    note(f"model {done}")
    if done < wanted and options.get("tool_choice") != "none":
        return [calls("look_up", f"call-{done}", page=done)]
    return f"{question.text}: " + ", ".join(str(part.result) for m in since if m.role == "tool" for part in m.contents)


@tool
def leave(how: str) -> str:
    """End the process, as a tool does that runs out of memory or crashes in native code."""
    note(f"leave {how}")
    if how == "exit":
        os._exit(1)
    os.kill(os.getpid(), signal.SIGKILL)
    return "still here"


def careless(messages, options):
    """Calls the tool that it is told to call, and says what became of it."""
    last = messages[-1]
    if last.role == "tool":
        return f"told: {last.contents[0].result}"
    return [calls("leave", how=last.text)] if last.text in {"exit", "kill"} else f"heard {last.text}"


async def parrot(messages):
    """Answers what was said, and how often it has been spoken to."""
    return f"{messages[-1].text} ({sum(message.role == 'user' for message in messages)})"


async def storyteller(messages):
    """Tells a story, word by word."""
    for number in range(int(messages[-1].text)):
        yield f"word{number} "
        await asyncio.sleep(PACE)


async def broken(messages):
    """Never answers."""
    raise RuntimeError("no model today")


app_mode = os.environ.get("MODE", "steps")
app = df.agents.AgentFunctionApp(
    http_auth_level=func.AuthLevel.ANONYMOUS, model_retry=None, enable_mcp_tool_trigger="MCP" in os.environ
)
app.add_agent(Agent(ScriptedModel(researcher), "You look pages up.", name="researcher", tools=[look_up]), mode=app_mode)
app.add_agent(Agent(ScriptedModel(careless), "You break things.", name="careless", tools=[leave]), mode=app_mode)
app.add_agent(df.agents.as_agent(parrot, name="parrot", description="Repeats what it hears."))
app.add_agent(df.agents.as_agent(storyteller, name="storyteller"))
app.add_agent(df.agents.as_agent(broken, name="broken"))


@app.orchestration_trigger(context_name="context")
def panel(context):
    """Has the researcher and the parrot answer side by side."""
    first = app.get_agent(context, "researcher").run("look 2")
    second = app.get_agent(context, "parrot").run("hello")
    answers = yield context.task_all([first, second])
    return [answer.text for answer in answers]


@app.route(route="panel", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_panel(req: func.HttpRequest, client) -> func.HttpResponse:
    """Start a panel and wait for it."""
    status = await client.wait_for_completion(await client.start_new("panel"), 20)
    return func.HttpResponse(json.dumps(status.output), mimetype="application/json")
