import pytest


@pytest.fixture
async def sample(deploy):
    return await deploy("chaining", STEP_SECONDS="0")


def sent(sample):
    return (sample.folder / ".perdure/world/sent.jsonl").read_text().splitlines()


async def test_an_article_is_published(sample):
    url = await sample.start_with("POST", "articles/hello-world/publish")
    assert await sample.completed(url) == "https://site.example/hello-world.html"
    page = (sample.folder / ".perdure/world/site/hello-world.html").read_text()
    assert page.startswith("<title>Hello, world</title>\n<p>Durable execution")
    assert "in four steps, &amp; each" in page
    (mail,) = sent(sample)
    assert "Hello, world: https://site.example/hello-world.html" in mail


async def test_there_is_no_such_draft(sample):
    status = await sample.ended(await sample.start_with("POST", "articles/nothing/publish"))
    assert status["runtimeStatus"] == "Failed"
    assert "there is no draft 'nothing'" in status["output"]


async def test_a_step_is_tried_again(sample):
    world = sample.folder / ".perdure/world"
    world.mkdir(parents=True)
    (world / "maintenance").touch()
    url = await sample.start_with("POST", "articles/on-patience/publish")
    await sample.until(f"{url}?showHistory=true", lambda status: "maintained" in str(status["historyEvents"]))
    again = await sample.request("POST", "articles/on-patience/publish")
    assert again.status_code == 409, "it is being published already"
    (world / "maintenance").unlink()
    assert await sample.completed(url) == "https://site.example/on-patience.html"


async def test_a_repeated_announcement_sends_one_mail(sample):
    import function_app
    from perdure.engine.registry import ActivityContext, current_activity

    token = current_activity.set(ActivityContext("publish-x", "e1", 4, "announce"))
    function_app.announce("news")
    function_app.announce("news")
    assert len(sent(sample)) == 1
    current_activity.reset(token)
