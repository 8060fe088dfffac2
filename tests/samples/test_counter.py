import asyncio

import pytest

from tests.functions.driving import content


@pytest.fixture
async def sample(deploy):
    return await deploy("counter")


async def until_inside(sample, house, people):
    """Wait until so many are in a house; None: until there is no such counter."""
    async with asyncio.timeout(30):
        while True:
            response = await sample.request("GET", f"houses/{house}")
            inside = content(response)["inside"] if response.status_code == 200 else None
            if inside == people:
                return
            await asyncio.sleep(0.01)


async def test_visitors_are_counted(sample):
    assert (await sample.request("GET", "houses/museum")).status_code == 404
    assert (await sample.request("POST", "houses/museum/enter", 3)).status_code == 202
    assert (await sample.request("POST", "houses/museum/leave")).status_code == 202
    await until_inside(sample, "museum", 2)
    for _ in range(20):
        await sample.request("POST", "houses/museum/enter")
        await sample.request("POST", "houses/tower/enter", 2)
    await until_inside(sample, "museum", 22)
    await until_inside(sample, "tower", 40)
    await sample.request("DELETE", "houses/museum")
    await until_inside(sample, "museum", None)


async def test_operations_that_fail_change_nothing(sample):
    for operation, people in ("enter", 3), ("leave", 9), ("sing", 1), ("leave", 1):
        assert (await sample.request("POST", f"houses/museum/{operation}", people)).status_code == 202
    await until_inside(sample, "museum", 2)


@pytest.mark.parametrize("people", [0, -1, "many", 1.5])
async def test_numbers_that_make_no_sense(sample, people):
    assert (await sample.request("POST", "houses/museum/enter", people)).status_code == 400


async def test_no_number_is_drawn_twice(sample):
    async def draw():
        response = await sample.request("POST", "desks/passports/tickets")
        if response.status_code == 202:
            return await sample.completed(content(response)["statusQueryGetUri"])
        return content(response)

    drawn = await asyncio.gather(*[draw() for _ in range(10)])
    assert sorted(each["number"] for each in drawn) == list(range(1, 11))
