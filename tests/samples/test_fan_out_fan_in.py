import pytest


@pytest.fixture
async def sample(deploy):
    return await deploy("fan_out_fan_in", STEP_SECONDS="0")


async def test_what_can_be_read_is_added_up_and_the_rest_is_named(sample):
    url = await sample.start_with("POST", "statements")
    assert await sample.completed(url) == {
        "totals": {"EUR": "242.50", "USD": "2011.25", "CHF": "310.00"},
        "invoices": 7,
        "unread": {
            "invoices/2026-005.json": "amount: Input should be a valid decimal",
            "invoices/2026-007.json": "it: Invalid JSON: expected value at line 1 column 1",
        },
    }
    assert (await sample.status(url))["customStatus"] == {"files": 9, "read": 7, "unread": 2}


@pytest.mark.parametrize("at_once", [1, 4, 100])
async def test_no_more_than_asked_for_are_read_at_once(sample, at_once):
    url = await sample.start_with("POST", "statements", {"at_once": at_once})
    assert (await sample.completed(url))["invoices"] == 7
    history = (await sample.status(f"{url}?showHistory=true"))["historyEvents"]
    running = most = 0
    for event in history:
        if event.get("FunctionName") == "read_invoice" or event.get("Name") == "read_invoice":
            running += {"TaskScheduled": 1, "TaskCompleted": -1, "TaskFailed": -1}.get(event["EventType"], 0)
            most = max(most, running)
    assert most == min(at_once, 9)


async def test_an_empty_folder(sample):
    (sample.folder / "empty").mkdir()
    url = await sample.start_with("POST", "statements", {"folder": "empty"})
    assert await sample.completed(url) == {"totals": {}, "invoices": 0, "unread": {}}


@pytest.mark.parametrize(("job", "code"), [({"at_once": 0}, 400), ([], 400)])
async def test_jobs_that_make_no_sense(sample, job, code):
    assert (await sample.request("POST", "statements", job)).status_code == code


async def test_a_folder_elsewhere(sample):
    status = await sample.ended(await sample.start_with("POST", "statements", {"folder": ".."}))
    assert (status["runtimeStatus"], "is not in the app's folder" in status["output"]) == ("Failed", True)
