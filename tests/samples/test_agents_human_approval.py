import asyncio
import json

from tests.functions.driving import content

SOON = "0.4"
LATER = "600"


async def asked(sample, session, kind, asks=None):
    """Wait until the clerk asks something of somebody; return the request."""
    async with asyncio.timeout(30):
        while True:
            found = content(await sample.request("GET", f"agents/requests?session_id={session}"))["requests"]
            if found and found[0]["kind"] == kind and asks in {None, found[0]["asks"]}:
                return found[0]
            await asyncio.sleep(0.01)


async def start(sample, session, text="Refund invoice 1001."):
    body = {"message": text, "session_id": session, "correlation_id": "first", "wait_for_response": False}
    response = await sample.request("POST", "agents/clerk/run", body, Content_Type="application/json")
    assert response.status_code == 202, response.get_body()


async def reply(sample, request, body):
    response = await sample.request("POST", request["answerPath"].removeprefix("/api/"), body)
    assert response.status_code == 202, response.get_body()


async def result(sample, session):
    """Wait for the answer."""
    async with asyncio.timeout(30):
        while (
            response := await sample.request("GET", f"agents/clerk/sessions/{session}/runs/first")
        ).status_code == 202:
            await asyncio.sleep(0.01)
    return content(response)


def refunds(sample):
    path = sample.folder / ".perdure" / "refunds.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def test_a_question_an_approval_and_a_refusal(deploy):
    sample = await deploy("agents/human_approval", STEP_SECONDS="0", ANSWER_WITHIN=LATER)
    await start(sample, "yes")
    await start(sample, "no", "Refund invoice 1002.")
    for session in ("yes", "no"):
        question = await asked(sample, session, "question")
        assert question["asks"] == "team lead"
        await reply(sample, question, {"answer": "It leaks."})
    for session, approved in (("yes", True), ("no", False)):
        approval = await asked(sample, session, "approval")
        assert (approval["tool"], set(approval["arguments"])) == ("refund", {"invoice", "amount"})
        assert refunds(sample) == [] or session == "no"
        await reply(sample, approval, {"approved": approved, "by": "Grace"})
    assert (await result(sample, "yes"))["response"] == "Because of 'It leaks.': 40 refunded"
    assert (await result(sample, "no"))["response"] == "Because of 'It leaks.': The call was refused by a person."
    assert [(each["invoice"], each["amount"]) for each in refunds(sample)] == [("1001", 40)]
    await start(sample, "unknown", "Refund invoice 7.")
    assert (await result(sample, "unknown"))["response"] == "There is no such invoice."


async def test_silence_goes_up_and_counts_as_refusal(deploy):
    sample = await deploy("agents/human_approval", STEP_SECONDS="0", ANSWER_WITHIN=SOON)
    await start(sample, "s")
    question = await asked(sample, "s", "question", "manager")
    assert question["escalated"] == 1
    outcome = await result(sample, "s")
    assert outcome["response"] == (
        "Because of 'Nobody answered the question in time: consider it refused.': "
        "Nobody answered the call of tool 'refund' in time: consider it refused."
    )
    assert refunds(sample) == []
