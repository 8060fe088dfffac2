import os
from datetime import UTC, datetime, timedelta

import pytest

OFTEN = {"every": 0.05, "lives": 60}
NOON = datetime(2026, 5, 17, 12, tzinfo=UTC)


@pytest.fixture
async def sample(deploy):
    return await deploy("eternal_job")


def sweeps(count):
    return lambda status: (status["customStatus"] or {"sweeps": 0})["sweeps"] >= count


async def test_old_uploads_go_and_the_job_stops_when_it_is_told(sample):
    uploads = sample.folder / ".perdure/uploads"
    uploads.mkdir(parents=True)
    for name, age in ("old", 3_600), ("new", 0):
        (uploads / name).touch()
        os.utime(uploads / name, times=(datetime.now(UTC).timestamp() - age,) * 2)
    url = await sample.start_with("PUT", "cleaner", OFTEN)
    await sample.until(url, sweeps(4))
    assert (await sample.request("DELETE", "cleaner")).status_code == 202
    output = await sample.completed(url)
    assert output["sweeps"] >= 4
    assert output["deleted"] == 1
    assert [path.name for path in uploads.iterdir()] == ["new"]
    assert (await sample.request("DELETE", "cleaner")).status_code == 404


async def test_it_keeps_to_its_times(sample):
    url = await sample.start_with("PUT", "cleaner", OFTEN)
    first = (await sample.until(url, sweeps(1)))["customStatus"]["due"]
    later = (await sample.until(url, sweeps(5)))["customStatus"]["due"]
    apart = datetime.fromisoformat(later) - datetime.fromisoformat(first)
    assert apart % timedelta(seconds=0.05) == timedelta(0), "it drifts"
    assert apart >= 4 * timedelta(seconds=0.05)


@pytest.mark.parametrize(
    ("now", "expected"), [(0, 10), (3, 10), (10, 20), (12, 20), (95, 100), (-4, 10)], ids=lambda seconds: f"{seconds}s"
)
async def test_the_schedule_leaves_out_what_was_missed(sample, now, expected):
    from function_app import following

    due = following(NOON, timedelta(seconds=10), NOON + timedelta(seconds=now))
    assert due == NOON + timedelta(seconds=expected)


async def test_a_sweep_that_fails_does_not_end_it(sample, monkeypatch):
    import function_app

    (sample.folder / ".perdure").mkdir(exist_ok=True)
    (sample.folder / ".perdure/uploads").touch()  # a file where the folder should be
    retries = function_app.df.RetryPolicy(timedelta(seconds=0.01), 2)
    monkeypatch.setattr(function_app, "PATIENTLY", retries)
    url = await sample.start_with("PUT", "cleaner", OFTEN)
    status = await sample.until(url, sweeps(2))
    assert "uploads" in status["customStatus"]["trouble"]
    (sample.folder / ".perdure/uploads").unlink()
    await sample.until(url, lambda status: status["customStatus"]["trouble"] is None)


async def test_a_stop_that_comes_at_any_time_is_heard(sample):
    for sent_after in range(1, 6):
        url = await sample.start_with("PUT", "cleaner", {"every": 0.001, "lives": 60})
        await sample.until(url, sweeps(sent_after))
        await sample.request("DELETE", "cleaner")
        await sample.completed(url)


async def test_there_is_one_cleaner(sample):
    url = await sample.start_with("PUT", "cleaner", {"every": 60, "lives": 60})
    await sample.until(url, sweeps(1))
    assert (await sample.request("PUT", "cleaner", OFTEN)).status_code == 409
    assert (await sample.request("PUT", "cleaner", {"every": 0, "lives": 60})).status_code == 400
