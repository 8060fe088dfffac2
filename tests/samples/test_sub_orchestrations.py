import json

import pytest


@pytest.fixture
async def sample(deploy):
    return await deploy("sub_orchestrations", STEP_SECONDS="0")


def plan(**sites):
    return {
        "sites": [
            {"name": name, "devices": [{"serial": serial} for serial in serials]} for name, serials in sites.items()
        ]
    }


async def test_a_rollout_is_a_tree(sample):
    url = await sample.start_with("PUT", "rollouts/spring", plan(oslo=["A1", "A2"], rome=["B1"]))
    assert await sample.completed(url) == {
        "equipped": {"oslo": {"A1": "CN=A1", "A2": "CN=A2"}, "rome": {"B1": "CN=B1"}},
        "failed": {},
    }
    parts = json.loads((await sample.request("GET", "rollouts/spring/parts")).get_body())
    assert parts == {
        "spring:oslo": {"status": "Completed", "at": None},
        "spring:oslo:A1": {"status": "Completed", "at": "is ready"},
        "spring:oslo:A2": {"status": "Completed", "at": "is ready"},
        "spring:rome": {"status": "Completed", "at": None},
        "spring:rome:B1": {"status": "Completed", "at": "is ready"},
    }


async def test_a_failure_is_traced_to_its_origin_and_holds_up_nobody_else(sample):
    url = await sample.start_with("PUT", "rollouts/spring", plan(oslo=["A1", "X2"], rome=["B1"]))
    output = await sample.completed(url)
    assert output["equipped"] == {"rome": {"B1": "CN=B1"}}
    trouble = output["failed"]["oslo"]
    assert (trouble["origin"], trouble["serial"]) == ("devices.FirmwareRejectedError", "X2")
    names = ["equip_site", "provision_device", "flash", "device X2 rejects firmware 4.2"]
    places = [trouble["chain"].index(name) for name in names]
    assert places == sorted(places), trouble["chain"]


async def test_the_tree_is_terminated_as_a_whole(sample, monkeypatch):
    import asyncio

    import devices

    async def never():
        await asyncio.Event().wait()

    monkeypatch.setattr(devices, "work", never)
    url = await sample.start_with("PUT", "rollouts/spring", plan(oslo=["A1"]))
    leaf = url.replace("/spring", "/spring:oslo:A1")
    async with asyncio.timeout(30):
        while (await sample.request("GET", leaf)).status_code == 404:
            await asyncio.sleep(0.01)
    await sample.request("POST", f"{url}/terminate?reason=enough")
    assert (await sample.ended(url))["runtimeStatus"] == "Terminated"
    assert (await sample.ended(leaf))["runtimeStatus"] == "Terminated"


async def test_plans_that_make_no_sense(sample):
    assert (await sample.request("PUT", "rollouts/spring", {"sites": []})).status_code == 400
    assert (await sample.request("PUT", "rollouts/spring", plan(oslo=["A1"]))).status_code == 202
