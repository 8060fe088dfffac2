import asyncio

import pytest

from tests.functions.driving import content


@pytest.fixture
async def sample(deploy):
    return await deploy("aggregator")


async def until(sample, target, condition):
    """Wait until what is answered meets a condition; return it."""
    async with asyncio.timeout(30):
        while True:
            response = await sample.request("GET", target)
            if response.status_code == 200 and condition(found := content(response)):
                return found
            await asyncio.sleep(0.01)


async def report(sample, *measurements):
    body = [{"device": device, "celsius": celsius} for device, celsius in measurements]
    assert (await sample.request("POST", "measurements", body)).status_code == 202


async def test_measurements_are_added_up(sample):
    assert (await sample.request("GET", "devices/oven-1")).status_code == 404
    await report(sample, ("oven-1", 60), ("oven-1", 20), ("oven-2", 10), ("door", 7))
    await report(sample, *[("oven-1", 40)] * 20)
    totals = await until(sample, "devices/oven-1", lambda totals: totals["count"] == 22)
    assert (totals["total"], totals["lowest"], totals["highest"]) == (880, 20, 60)
    await until(sample, "devices", lambda means: means == {"oven-1": 40, "oven-2": 10, "door": 7})
    assert content(await sample.request("GET", "devices?prefix=oven")) == {"oven-1": 40, "oven-2": 10}
    assert content(await sample.request("GET", "alarms")) == []


async def test_a_device_alarms_once(sample):
    await report(sample, ("oven-1", 81), ("oven-1", 95), ("oven-2", 80), ("oven-1", 82))
    await until(sample, "devices/oven-1", lambda totals: totals["count"] == 3)
    alarms = await until(sample, "alarms", len)
    assert alarms == [{"device": "oven-1", "celsius": 81}]


@pytest.mark.parametrize("body", [{}, [{"device": "x"}], [{"device": "", "celsius": 1}], "none"])
async def test_what_is_no_measurement(sample, body):
    assert (await sample.request("POST", "measurements", body)).status_code == 400
