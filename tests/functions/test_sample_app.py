"""The sample app at the project's root."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from tests.functions.driving import content

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def sample(monkeypatch):
    """The module, executed anew."""
    spec = importlib.util.spec_from_file_location("sample_function_app", ROOT / "function_app.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def driver(sample, drive):
    return await drive(sample.app)


async def started(driver, name, value=None, query=""):
    response = await driver.request("POST", f"orchestrators/{name}{query}", value)
    assert response.status_code == 202, response.get_body()
    return content(response)["statusQueryGetUri"]


async def output(driver, name, value=None):
    status = await driver.ended(await started(driver, name, value))
    assert status["runtimeStatus"] == "Completed", status
    return status["output"]


async def test_hello_cities(driver):
    assert await output(driver, "hello_cities") == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]


async def test_count_words(driver, sample, monkeypatch, tmp_path):
    monkeypatch.setattr(sample, "HERE", tmp_path)
    (tmp_path / "one.md").write_text("three words here")
    (tmp_path / "two.md").write_text("and two")
    (tmp_path / "no.txt").write_text("not counted")
    (tmp_path / "empty").mkdir()
    assert await output(driver, "count_words") == {"files": 2, "words": 5}
    assert await output(driver, "count_words", "empty") == {"files": 0, "words": 0}
    status = await driver.ended(await started(driver, "count_words", "../.."))
    assert (status["runtimeStatus"], "is not in the app's folder" in status["output"]) == ("Failed", True)


async def test_compare_folders(driver, sample):
    found = await output(driver, "compare_folders", [".", "docs/adr"])
    records = list((ROOT / "docs" / "adr").glob("*.md"))
    assert found["docs/adr"] == {
        "files": len(records),
        "words": sum(len(path.read_text(encoding="utf-8").split()) for path in records),
    }


@pytest.fixture
def hasty(sample, monkeypatch):
    """All waits of the sample take a hundredth of a second."""
    monkeypatch.setattr(sample, "timedelta", lambda **_: timedelta(seconds=0.01))


async def test_wait_for_file(driver, sample, monkeypatch, tmp_path):
    monkeypatch.setattr(sample, "HERE", tmp_path)
    monkeypatch.setattr(sample, "timedelta", lambda **given: timedelta(**given) / (100 if "seconds" in given else 1))
    url = await started(driver, "wait_for_file", "data.csv")
    while content(await driver.request("GET", url))["customStatus"] != "is not there yet":
        await driver.queues.wait_for_message("testhub-control", 0.01)
    (tmp_path / "data.csv").write_text("1,2")
    assert (await driver.ended(url))["output"] == {"file": "data.csv", "bytes": 3}


async def test_a_file_that_does_not_come(driver, hasty):
    status = await driver.ended(await started(driver, "wait_for_file"))
    assert status["output"] == "TimeoutError: upload.csv did not come within an hour"


async def test_a_cheap_order(driver):
    assert (await output(driver, "place_order", {"item": "tea", "amount": 5})).startswith("ordered under tea:")


@pytest.mark.parametrize(("answer", "beginning"), [(True, "ordered under tea:"), (False, "rejected")])
async def test_an_order_with_approval(driver, answer, beginning):
    url = await started(driver, "place_order")
    while content(await driver.request("GET", url))["customStatus"] != "waits for approval":
        await driver.queues.wait_for_message("testhub-control", 0.01)
    await driver.request("POST", f"{url}/raiseEvent/approval", answer)
    assert (await driver.ended(url))["output"].startswith(beginning)


async def test_an_order_that_nobody_approves(driver, hasty):
    assert await output(driver, "place_order") == "cancelled: external event 'approval' did not arrive in time"


async def test_an_order_over_the_limit(driver, sample):
    url = await started(driver, "place_order", {"item": "yacht", "amount": 20_000}, "?instanceId=yacht")
    await driver.request("POST", f"{url}/raiseEvent/approval", True)
    assert "20000 is over the limit of 10000" in (await driver.ended(url))["output"]


async def test_hourly_count(driver):
    url = await started(driver, "hourly_count")
    await driver.request("POST", f"{url}/raiseEvent/stop")
    status = await driver.ended(url)
    assert (status["output"], status["customStatus"]["runs"]) == (1, 1)


async def test_hourly_count_goes_on(driver, hasty):
    url = await started(driver, "hourly_count")
    while (content(await driver.request("GET", url))["customStatus"] or {"runs": 0})["runs"] < 3:
        await driver.queues.wait_for_message("testhub-control", 0.01)
    await driver.request("POST", f"{url}/terminate?reason=enough")
    assert (await driver.ended(url))["runtimeStatus"] == "Terminated"


async def test_a_counter(driver):
    assert (await driver.request("GET", "counters/visits")).get_body() == b"0\n"
    for _ in range(3):
        assert (await driver.request("POST", "counters/visits")).status_code == 202
    async with asyncio.timeout(30):
        while (await driver.request("GET", "counters/visits")).get_body() != b"3\n":
            await driver.queues.wait_for_message("testhub-control", 0.01)
    assert (await driver.request("GET", "counters/others")).get_body() == b"0\n"


@pytest.mark.parametrize(
    ("target", "raw", "code"),
    [
        ("orchestrators/nothing", b"", 404),
        ("orchestrators/hello_cities", b"{", 400),
        (f"orchestrators/hello_cities?instanceId={'x' * 257}", b"", 400),
        ("orchestrators/place_order?instanceId=one", b"", 409),
    ],
)
async def test_starts_that_fail(driver, target, raw, code):
    await driver.ended(await started(driver, "hello_cities"))
    url = await started(driver, "place_order", query="?instanceId=one")
    while content(await driver.request("GET", url))["runtimeStatus"] == "Pending":
        await driver.queues.wait_for_message("testhub-control", 0.01)
    assert (await driver.request("POST", target, raw=raw)).status_code == code


def test_what_a_remote_build_needs_is_deployed():
    """`requirements.txt` installs the project from the deployed folder."""
    ignored = [line for line in (ROOT / ".funcignore").read_text().splitlines() if line and line[0] != "#"]
    assert "." in (ROOT / "requirements.txt").read_text().splitlines()
    needed = ["pyproject.toml", "README.md", "LICENSE", "host", "bindings", "function_app.py", "host.json", "docs"]
    for name in needed:
        assert not [pattern for pattern in ignored if Path(name).match(pattern)], name
    for path in [*(ROOT / "host").rglob("*.py"), *(ROOT / "bindings").rglob("*.py")]:
        parts = path.relative_to(ROOT).parts
        assert not [pattern for pattern in ignored if any(Path(part).match(pattern) for part in parts)], path


def test_the_sample_can_be_read_in_one_sitting():
    assert len((ROOT / "function_app.py").read_text().splitlines()) < 240
