import asyncio
import itertools
import threading

import pytest

from tests.functions.driving import content

MAY = {"year": 2026, "month": 5}


@pytest.fixture
async def sample(deploy):
    return await deploy("async_http_api", STEP_SECONDS="0")


async def final(sample, location):
    async with asyncio.timeout(30):
        while (response := await sample.request("GET", location)).status_code == 202:
            await asyncio.sleep(0.01)
    return response.status_code, content(response)


@pytest.fixture
def held_back(sample, monkeypatch):
    """The report's second week takes until this is set."""
    import function_app

    release = threading.Event()
    steps = itertools.count(1)
    monkeypatch.setattr(function_app, "work", lambda: next(steps) == 1 or release.wait(30))
    yield release
    release.set()


async def test_a_report_is_made_and_fetched(sample):
    accepted = await sample.request("POST", "reports", MAY)
    assert (accepted.status_code, content(accepted)) == (202, {"id": "report-2026-05"})
    assert accepted.headers["Retry-After"] == "2"
    location = accepted.headers["Location"]
    assert location.endswith("/api/reports/report-2026-05")
    code, report = await final(sample, location)
    assert (code, set(report)) == (200, {"turnover", "best_week"})
    assert report["best_week"]["first"].startswith("2026-05-")


async def test_progress_is_shown_and_a_report_in_the_making_is_made_once(sample, held_back):
    location = (await sample.request("POST", "reports", MAY)).headers["Location"]
    async with asyncio.timeout(30):
        while (content(await sample.request("GET", location))["progress"] or {"done": 0})["done"] != 1:
            await asyncio.sleep(0.01)
    again = await sample.request("POST", "reports", MAY)
    assert (again.status_code, again.headers["Location"]) == (202, location)
    looked = await sample.request("GET", location)
    assert (looked.status_code, looked.headers["Retry-After"]) == (202, "2")
    assert content(looked)["progress"]["weeks"] == 5
    held_back.set()
    assert (await final(sample, location))[0] == 200


async def test_a_report_is_cancelled(sample, held_back):
    location = (await sample.request("POST", "reports", MAY)).headers["Location"]
    assert (await sample.request("DELETE", f"{location}?why=mistake")).status_code == 202
    assert await final(sample, location) == (410, {"problem": "cancelled: mistake"})
    assert (await sample.request("DELETE", location)).status_code == 202, "it may be repeated"
    assert await final(sample, location) == (410, {"problem": "cancelled: mistake"})
    assert (await sample.request("DELETE", f"{location}x")).status_code == 404


async def test_a_report_that_fails(sample, monkeypatch):
    import function_app

    def broken(_month):
        raise ArithmeticError("no such calendar")

    monkeypatch.setattr(function_app, "weeks_of", broken)
    location = (await sample.request("POST", "reports", MAY)).headers["Location"]
    assert await final(sample, location) == (500, {"problem": "ArithmeticError: no such calendar"})


async def test_reports_that_nobody_has_asked_for(sample):
    assert (await sample.request("GET", "reports/none")).status_code == 404
    assert (await sample.request("DELETE", "reports/none")).status_code == 404


@pytest.mark.parametrize("month", [{"year": 2026, "month": 13}, {"year": 2026}, []])
async def test_months_that_do_not_exist(sample, month):
    response = await sample.request("POST", "reports", month)
    assert (response.status_code, list(content(response))) == (400, ["problems"])
