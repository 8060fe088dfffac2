import pytest

FILM = {"title": "one", "takes": 0, "first_look": 0.02, "longest_wait": 0.05, "patience": 30}


@pytest.fixture
async def sample(deploy):
    return await deploy("monitor")


@pytest.mark.parametrize(("breaks", "state"), [(False, "done"), (True, "broken")])
async def test_a_film_is_watched_until_it_is_ready(sample, breaks, state):
    url = await sample.start_with("POST", "films", FILM | {"takes": 0.3, "breaks": breaks})
    outcome = await sample.completed(url)
    assert outcome["state"] == state
    assert outcome["looks"] > 1


async def test_patience_has_an_end(sample):
    url = await sample.start_with("POST", "films", FILM | {"takes": 1_000, "patience": 0.2})
    outcome = await sample.completed(url)
    assert outcome["state"] == "called off"
    assert list((sample.folder / ".perdure/farm").iterdir()) == [], "the farm still works on it"


async def test_the_looks_come_further_and_further_apart(sample):
    waits = {"first_look": 0.05, "longest_wait": 0.2, "patience": 0.6}
    outcome = await sample.completed(await sample.start_with("POST", "films", FILM | waits | {"takes": 1_000}))
    # at 0.05, 0.15, 0.35, 0.55 and, the last one, 0.6 of a second, or fewer if a look itself takes its time
    assert 2 <= outcome["looks"] <= 5


async def test_a_farm_that_does_not_answer_for_a_while(sample):
    (sample.folder / ".perdure/farm").mkdir(parents=True)
    closed = sample.folder / ".perdure/farm/closed"
    closed.touch()
    url = await sample.start_with("POST", "films", FILM)
    await sample.until(url, lambda status: (status["customStatus"] or {"looks": 0})["looks"] >= 2)
    closed.unlink()
    assert (await sample.completed(url))["state"] == "done"


@pytest.mark.parametrize("film", [{}, FILM | {"first_look": 0}])
async def test_films_that_make_no_sense(sample, film):
    assert (await sample.request("POST", "films", film)).status_code == 400
