import asyncio
import json
import sqlite3
from contextlib import closing

EXPENSE = {"employee": "Ada", "what": "a train", "amount": "89.90"}
LONG = {"REMIND_AFTER": "60", "ESCALATE_AFTER": "60", "GIVE_UP_AFTER": "60"}
SHORT = {"REMIND_AFTER": "0.05", "ESCALATE_AFTER": "0.05", "GIVE_UP_AFTER": "0.05"}
YES = {"approved": True, "by": "Grace", "comment": "of course"}
NO = {"approved": False, "by": "Grace"}


def recorded(sample, sql):
    with closing(sqlite3.connect(sample.folder / ".perdure/world.db")) as connection:
        return [row[0] if len(row) == 1 else row for row in connection.execute(sql)]


async def waiting_for(sample, who):
    """Wait until a claim waits for somebody, seen as that person sees it."""
    async with asyncio.timeout(30):
        while True:
            claims = json.loads((await sample.request("GET", f"expenses?for={who}")).get_body())
            if claims:
                return claims[0]["id"]
            await asyncio.sleep(0.01)


async def test_an_expense_is_approved_and_paid(deploy):
    sample = await deploy("human_interaction", **LONG)
    url = await sample.start_with("POST", "expenses", EXPENSE)
    claim = await waiting_for(sample, "lead")
    assert json.loads((await sample.request("GET", "expenses?for=manager")).get_body()) == []
    assert (await sample.request("POST", f"expenses/{claim}/decision", YES)).status_code == 202
    assert await sample.completed(url) == {"state": "paid", "decision": YES}
    assert recorded(sample, "SELECT employee, amount FROM payments") == [("Ada", "89.90")]
    assert recorded(sample, "SELECT recipient FROM mails ORDER BY rowid") == ["lead", "Ada"]
    assert (await sample.request("POST", f"expenses/{claim}/decision", NO)).status_code == 409
    assert json.loads((await sample.request("GET", "expenses")).get_body()) == []


async def test_an_expense_is_rejected(deploy):
    sample = await deploy("human_interaction", **LONG)
    url = await sample.start_with("POST", "expenses", EXPENSE)
    await sample.request("POST", f"expenses/{await waiting_for(sample, 'lead')}/decision", NO)
    assert (await sample.completed(url))["state"] == "rejected"
    assert recorded(sample, "SELECT * FROM payments") == []


async def test_a_claim_goes_up_and_the_manager_decides(deploy):
    sample = await deploy("human_interaction", **SHORT | {"GIVE_UP_AFTER": "60"})
    url = await sample.start_with("POST", "expenses", EXPENSE)
    await sample.request("POST", f"expenses/{await waiting_for(sample, 'manager')}/decision", YES)
    assert (await sample.completed(url))["state"] == "paid"
    assert recorded(sample, "SELECT recipient FROM mails ORDER BY rowid") == ["lead", "lead", "manager", "Ada"]
    assert recorded(sample, "SELECT text FROM mails ORDER BY rowid")[1].startswith("Reminder: Ada spent 89.90")


async def test_nobody_answers(deploy):
    sample = await deploy("human_interaction", **SHORT)
    url = await sample.start_with("POST", "expenses", EXPENSE)
    assert await sample.completed(url) == {"state": "unanswered", "decision": None}
    assert recorded(sample, "SELECT * FROM payments") == []


async def test_an_event_that_is_no_decision_is_ignored(deploy):
    sample = await deploy("human_interaction", **LONG)
    url = await sample.start_with("POST", "expenses", EXPENSE)
    claim = await waiting_for(sample, "lead")
    await sample.request("POST", f"{url}/raiseEvent/decision", {"approved": "perhaps"})
    status = await sample.until(url, lambda status: "ignored" in status["customStatus"])
    assert "'approved'" in status["customStatus"]["ignored"]
    await sample.request("POST", f"expenses/{claim}/decision", YES)
    assert (await sample.completed(url))["state"] == "paid"


async def test_the_api_refuses_what_makes_no_sense(deploy):
    sample = await deploy("human_interaction", **LONG)
    assert (await sample.request("POST", "expenses", EXPENSE | {"amount": -1})).status_code == 400
    assert (await sample.request("POST", "expenses/none/decision", YES)).status_code == 404
    assert (await sample.request("POST", "expenses/none/decision", {"approved": True})).status_code == 400
