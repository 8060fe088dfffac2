import json

import pytest

from tests.functions.driving import content


@pytest.fixture
async def sample(deploy):
    return await deploy("story", WORD_SECONDS="0")


async def test_a_story_is_told_word_by_word(sample):
    url = await sample.start_with("POST", "stories/tonight")
    said, cursor, ended = [], "", False
    while not ended:
        response = await sample.request("GET", f"stories/tonight/words?cursor={cursor}", Accept="application/json")
        part = content(response)
        said, cursor, ended = said + part["items"], part["cursor"], part["ended"]

    assert await sample.completed(url) == [30, 30, 30]
    events = [item["event"] for item in said]
    assert events == [*(["chapter"] + ["message"] * 30) * 3, "end"]
    assert said[-1]["data"]["result"] == " ".join(item["data"] for item in said[-31:-1])


async def test_a_page_listens_to_it(sample):
    url = await sample.start_with("POST", "stories/tonight")
    await sample.completed(url)

    page = await sample.request("GET", "stories/tonight")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    answer = await sample.request("GET", "stories/tonight/words", Accept="text/event-stream")
    assert answer.get_body().count(b"event: chapter") == 3
    *_, last = (line for line in answer.get_body().decode().splitlines() if line.startswith("id: "))
    stopped = await sample.request("GET", "stories/tonight/words", Last_Event_ID=last.removeprefix("id: "))
    assert stopped.status_code == 204


async def test_there_is_no_such_story(sample):
    response = await sample.request("GET", "stories/nothing/words")
    assert response.status_code == 404
    assert json.dumps("there is no instance 'nothing'")[1:-1] in response.get_body().decode()
