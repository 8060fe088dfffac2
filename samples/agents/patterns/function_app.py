"""Five patterns of work with agents, each an orchestration of a few lines: every answer is kept, whatever crashes.

The agents are ordinary ones of the Agent Framework; what they do together is code. Their scripts stand in `scripts.py`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

import scripts
from agent_framework import Agent, AgentResponse
from models import Script, chat_client
from pydantic import BaseModel, Field

import perdure_functions as df

app = df.agents.AgentFunctionApp(model_retry=df.RetryPolicy(timedelta(seconds=0.5), max_number_of_attempts=2))

ROUNDS = 4
"""How often a slogan is tried."""


def add_agent(name: str, instructions: str, script: Script) -> None:
    app.add_agent(Agent(chat_client(script), instructions, name=name))


# ---- prompt chaining: each agent works on what the one before has made ----------------------------------------------

add_agent("outliner", "Outline an article in two to five short points, one a line.", scripts.outline)
add_agent("writer", "Write one sentence for each point of an outline.", scripts.write)
add_agent("editor", "Make a text plainer. Change no facts.", scripts.edit)


@app.orchestration_trigger(context_name="context")
async def write_article(context: df.OrchestrationContext, topic: str) -> str:
    """Outline, write, edit. A check between two steps is ordinary code."""
    outline = await app.get_agent(context, "outliner").run(topic)
    points = [line for line in outline.text.splitlines() if line.strip()]
    if not 2 <= len(points) <= 5:  # noqa: PLR2004 - as the outliner is told
        raise ValueError(f"an outline of {len(points)} points is no use")
    draft = await app.get_agent(context, "writer").run(outline.text)
    article = await app.get_agent(context, "editor").run(draft.text)
    return article.text


# ---- routing: one agent decides which one answers ------------------------------------------------------------------


class Route(BaseModel):
    """What a request is about."""

    about: Literal["billing", "technology", "anything else"]


add_agent("dispatcher", "Say what a request is about.", scripts.dispatch)
add_agent("cashier", "Answer questions about bills.", scripts.says("Your bill is attached once more."))
add_agent("engineer", "Answer technical questions.", scripts.says("Switch it off and on again."))
add_agent("receptionist", "Answer whatever nobody else answers.", scripts.says("Somebody will call you."))

SPECIALISTS = {"billing": "cashier", "technology": "engineer", "anything else": "receptionist"}


@app.orchestration_trigger(context_name="context")
async def answer_request(context: df.OrchestrationContext, request: str) -> dict[str, str]:
    """Have the one answer who knows. The answer's form is a model, so there are only so many ways to go."""
    decision = await app.get_agent(context, "dispatcher").run(request, response_format=Route)
    specialist = SPECIALISTS[Route.model_validate(decision.value).about]
    answer = await app.get_agent(context, specialist).run(request)
    return {"by": specialist, "answer": answer.text}


# ---- parallelization: several look at the same thing at once -------------------------------------------------------


class Opinion(BaseModel):
    """What a reviewer says."""

    approves: bool
    because: str


REVIEWERS = ("lawyer", "grammarian", "sceptic")
for reviewer in REVIEWERS:
    add_agent(reviewer, f"You are a {reviewer}. Do you approve of a text?", scripts.review(reviewer))


@app.orchestration_trigger(context_name="context")
async def review_text(context: df.OrchestrationContext, text: str) -> dict[str, Any]:
    """Ask all reviewers at once; the majority decides."""
    asked = [app.get_agent(context, each).run(text, response_format=Opinion) for each in REVIEWERS]
    opinions = [Opinion.model_validate(reply.value) for reply in await context.task_all(asked)]
    objections = [
        f"{name}: {each.because}" for name, each in zip(REVIEWERS, opinions, strict=True) if not each.approves
    ]
    return {"approved": len(objections) * 2 < len(REVIEWERS), "objections": objections}


# ---- orchestrator and workers: an agent decides what there is to do ------------------------------------------------


class Plan(BaseModel):
    """How a question is divided."""

    questions: list[str] = Field(min_length=1, max_length=8)


add_agent("planner", "Divide a question into at most eight that can be answered apart.", scripts.plan)
add_agent("worker", "Answer one question in one sentence.", scripts.work)
add_agent("reporter", "Make one answer of several.", scripts.report)


@app.orchestration_trigger(context_name="context")
async def answer_together(context: df.OrchestrationContext, question: str) -> str:
    """As many workers as the plan has questions. One that fails is left out, and the report says so."""
    reply = await app.get_agent(context, "planner").run(question, response_format=Plan)
    questions = Plan.model_validate(reply.value).questions
    worker = app.get_agent(context, "worker")
    at_work = [worker.run(each) for each in questions]
    found = [await text_of(task, each) for task, each in zip(at_work, questions, strict=True)]
    report = await app.get_agent(context, "reporter").run("\n".join(found))
    return report.text


async def text_of(task: df.Task[AgentResponse[Any]], question: str) -> str:
    """Return an answer, or that there is none."""
    try:
        return (await task).text
    except df.TaskFailedError:
        return f"Nobody knows: {question}"


# ---- evaluator and optimizer: one writes, another judges, until it is good -----------------------------------------


class Verdict(BaseModel):
    """What the judge says."""

    good: bool
    advice: str


add_agent("copywriter", "Write a slogan, and make it better by the advice that you are given.", scripts.slogan)
add_agent("judge", "Is a slogan short and true?", scripts.judge)


@app.orchestration_trigger(context_name="context")
async def find_slogan(context: df.OrchestrationContext, product: str) -> dict[str, Any]:
    """Write and judge in turns. The copywriter keeps one session, so it knows what it has tried."""
    copywriter, judge = app.get_agent(context, "copywriter"), app.get_agent(context, "judge")
    session = copywriter.create_session()
    prompt = f"A slogan for {product}."
    for tries in range(1, ROUNDS + 1):
        slogan = await copywriter.run(prompt, session=session)
        judgement = await judge.run(slogan.text, response_format=Verdict)
        verdict = Verdict.model_validate(judgement.value)
        context.set_custom_status({"tries": tries, "slogan": slogan.text, "advice": verdict.advice})
        if verdict.good:
            break
        prompt = verdict.advice
    return {"slogan": slogan.text, "good": verdict.good, "tries": tries}
