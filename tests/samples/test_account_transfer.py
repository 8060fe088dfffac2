import asyncio

import pytest

from tests.functions.driving import content


@pytest.fixture
async def sample(deploy):
    return await deploy("account_transfer")


async def balances(sample):
    return {each["name"]: float(each["balance"]) for each in content(await sample.request("GET", "accounts"))}


async def until(sample, condition):
    """Wait until the accounts meet a condition."""
    async with asyncio.timeout(30):
        while not condition(content(await sample.request("GET", "accounts"))):
            await asyncio.sleep(0.01)


async def pay_in(sample, **amounts):
    for name, amount in amounts.items():
        assert (await sample.request("POST", f"accounts/{name}/deposits", {"amount": amount})).status_code == 202
    await until(sample, lambda accounts: {each["name"] for each in accounts} >= set(amounts))


async def transfer(sample, source, target, amount):
    order = {"source": source, "target": target, "amount": amount}
    return await sample.completed(await sample.start_with("POST", "transfers", order))


async def audit(sample, names):
    url = await sample.start_with("POST", "durabletask/orchestrators/audit", names)
    return float(await sample.completed(url))


async def test_money_moves(sample):
    await pay_in(sample, ann="100.10")
    assert await transfer(sample, "ann", "ben", "30.05") == {"done": True, "why": None}
    assert await balances(sample) == {"ann": 70.05, "ben": 30.05}
    assert await audit(sample, ["ann", "ben", "cid"]) == 100.1


async def test_too_much(sample):
    await pay_in(sample, ann=10)
    assert await transfer(sample, "ann", "ben", 11) == {"done": False, "why": "ann has only 10"}
    assert await audit(sample, ["ann", "ben"]) == 10


async def test_a_frozen_target_gives_the_money_back(sample):
    await pay_in(sample, ann=10, ben=1)
    assert (await sample.request("POST", "accounts/ben/freeze")).status_code == 202
    assert await transfer(sample, "ann", "ben", 5) == {"done": False, "why": "the account of ben is frozen"}
    assert await balances(sample) == {"ann": 10, "ben": 1}
    assert (await sample.request("POST", "accounts/ben/thaw")).status_code == 202
    assert (await transfer(sample, "ann", "ben", 5))["done"]


async def test_transfers_that_cross_conserve_the_money(sample):
    names = ["ann", "ben", "cid"]
    await pay_in(sample, ann=50, ben=50, cid=50)
    await sample.request("POST", "accounts/cid/freeze")
    pairs = [(source, target) for source in names for target in names if source != target] * 2
    transfers = [transfer(sample, source, target, 40) for source, target in pairs]
    *outcomes, seen = await asyncio.gather(*transfers, audit(sample, names))
    assert seen == 150, "an audit saw a transfer that was half done"
    assert {each["done"] for each in outcomes} == {True, False}
    assert sum((await balances(sample)).values()) == 150
    await until(sample, lambda accounts: all(each["lockedBy"] is None for each in accounts))


async def test_a_transfer_to_oneself(sample):
    await pay_in(sample, ann=10)
    assert await transfer(sample, "ann", "ann", 4) == {"done": True, "why": None}
    assert await balances(sample) == {"ann": 10}


@pytest.mark.parametrize("order", [{}, {"source": "ann", "target": "ben", "amount": -1}, {"source": "", "target": "b"}])
async def test_what_is_no_transfer(sample, order):
    assert (await sample.request("POST", "transfers", order)).status_code == 400
    assert (await sample.request("POST", "accounts/ann/deposits", {"amount": "0.001"})).status_code == 400
