import pytest

TRIP = {"traveller": "Ada", "to": "Lisbon", "flight": 210, "hotel": 480, "car": 95}


@pytest.fixture
async def sample(deploy):
    return await deploy("saga", STEP_SECONDS="0")


def booked():
    import bookings

    return bookings.booked_for("Ada")


async def test_a_trip_is_booked(sample):
    url = await sample.start_with("PUT", "trips/lisbon", TRIP)
    outcome = await sample.completed(url)
    assert (outcome["booked"], list(outcome["references"])) == (True, ["flight", "hotel", "car"])
    assert booked() == ["flight", "hotel", "car"]


@pytest.mark.parametrize("full", ["flight", "hotel", "car"])
async def test_all_or_nothing(sample, full):
    url = await sample.start_with("PUT", "trips/lisbon", TRIP | {"full": full})
    assert await sample.completed(url) == {
        "booked": False,
        "references": {},
        "why": f"{full}: no {full} is left",
        "by_hand": [],
    }
    assert booked() == []


async def test_the_last_step_is_undone_first(sample, monkeypatch):
    import bookings

    cancelled = []
    monkeypatch.setattr(bookings, "cancel", lambda kind, _reference: cancelled.append(kind))
    await sample.completed(await sample.start_with("PUT", "trips/lisbon", TRIP | {"full": "car"}))
    assert cancelled == ["car", "hotel", "flight"]


async def test_a_reservation_whose_answer_was_lost_is_cancelled_too(sample, monkeypatch):
    import bookings

    reserve = bookings.reserve

    def lose_the_answer(kind, *rest):
        reserve(kind, *rest)
        if kind == "hotel":
            raise bookings.FullyBookedError("the hotel's answer makes no sense")

    monkeypatch.setattr(bookings, "reserve", lose_the_answer)
    outcome = await sample.completed(await sample.start_with("PUT", "trips/lisbon", TRIP))
    assert (outcome["booked"], booked()) == (False, [])


async def test_a_repeated_reservation_is_one_reservation(sample, monkeypatch):
    import bookings

    reserve, calls = bookings.reserve, []

    def fail_once(kind, *rest):
        reserve(kind, *rest)
        calls.append(kind)
        if calls == ["flight"]:
            raise bookings.OutOfOrderError("the flight system does not answer")

    monkeypatch.setattr(bookings, "reserve", fail_once)
    outcome = await sample.completed(await sample.start_with("PUT", "trips/lisbon", TRIP))
    assert (outcome["booked"], booked()) == (True, ["flight", "hotel", "car"])
    assert calls == ["flight", "flight", "hotel", "car"]


@pytest.fixture
async def stuck(sample):
    """The URL of a trip that can't be undone: the hotel system is down."""
    down = sample.folder / ".perdure/hotel.down"
    down.parent.mkdir(exist_ok=True)
    down.touch()
    url = await sample.start_with("PUT", "trips/lisbon", TRIP | {"full": "car", "patience": 0.01})
    status = await sample.until(url, lambda status: "waitsFor" in (status["customStatus"] or ""))
    assert status["customStatus"]["waitsFor"] == "hotel-attention"
    assert status["customStatus"]["why"] == "the hotel system does not answer"
    assert booked() == ["flight", "hotel"], "the flight waits for its turn"
    return url


async def test_a_person_has_a_compensation_tried_again(sample, stuck):
    (sample.folder / ".perdure/hotel.down").unlink()
    await sample.request("POST", f"{stuck}/raiseEvent/hotel-attention", "retry")
    assert (await sample.completed(stuck))["by_hand"] == []
    assert booked() == []


async def test_a_person_cancels_by_telephone(sample, stuck):
    await sample.request("POST", f"{stuck}/raiseEvent/hotel-attention", "done")
    await sample.request("POST", f"{stuck}/raiseEvent/hotel-attention", "done")
    assert (await sample.completed(stuck))["by_hand"] == ["hotel"]
    assert booked() == ["hotel"], "the program has cancelled the flight, and only that"


async def test_requests_that_are_refused(sample, stuck):
    assert (await sample.request("PUT", "trips/lisbon", TRIP)).status_code == 409
    assert (await sample.request("PUT", "trips/rome", TRIP | {"car": 0})).status_code == 400
