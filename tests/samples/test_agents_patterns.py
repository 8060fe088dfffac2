import pytest

QUICKLY = {"STEP_SECONDS": "0"}


@pytest.fixture
async def run(deploy):
    """Runs an orchestration; returns its status at the end."""
    sample = await deploy("agents/patterns", **QUICKLY)

    async def run(name, given):
        return await sample.ended(await sample.start_with("POST", f"durabletask/orchestrators/{name}", given))

    return run


async def test_all_patterns(run):
    article = (await run("write_article", "tea"))["output"]
    assert article == "What tea is. What tea is good for. What tea costs."

    for request, answer in (
        ("My bill is missing.", {"by": "cashier", "answer": "Your bill is attached once more."}),
        ("My router smokes.", {"by": "engineer", "answer": "Switch it off and on again."}),
        ("I feel lonely.", {"by": "receptionist", "answer": "Somebody will call you."}),
    ):
        assert (await run("answer_request", request))["output"] == answer

    opinions = (await run("review_text", "This ain't bad."))["output"]
    assert opinions == {"approved": True, "objections": ["grammarian: it says 'ain't'"]}
    assert (await run("review_text", "We always guarantee it."))["output"]["approved"] is False

    report = (await run("answer_together", "tea, coffee, tomorrow?"))["output"]
    assert report == "Tea is fine. Coffee is fine. Nobody knows: What of tomorrow?"

    status = await run("find_slogan", "tea")
    assert status["output"] == {"slogan": "best tea there is.", "good": True, "tries": 3}
    assert status["customStatus"]["tries"] == 3


async def test_an_outline_that_is_no_use(run):
    status = await run("write_article", "nothing")
    assert status["runtimeStatus"] == "Failed"
    assert "an outline of 1 points is no use" in status["output"]
